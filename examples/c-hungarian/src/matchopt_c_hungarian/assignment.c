/* Linear assignment by shortest augmenting paths (N. Tomizawa, Networks 1, 1971, doi:10.1002/net.3230010206).

   cost: rows x columns, row by row, rows <= columns, all finite.
   col_of: receives the column of every row.
   Returns 0, or 1 where there is no memory. */
#include <stdlib.h>

int assign(int rows, int columns, const double *cost, long long *col_of)
{
    /* Column `columns` is a place of its own, where the row that is being placed begins. */
    int n = columns + 1, status = 1;
    double *price_row = calloc(rows + 1, sizeof *price_row), *price = calloc(n, sizeof *price);
    double *distance = malloc(n * sizeof *distance);
    int *row_of = malloc(n * sizeof *row_of), *before = malloc(n * sizeof *before);
    char *done = malloc(n);
    if (!price_row || !price || !distance || !row_of || !before || !done)
        goto end;
    for (int j = 0; j < n; j++)
        row_of[j] = -1;
    for (int i = 0; i < rows; i++) {
        int j = columns;
        row_of[columns] = i;
        for (int k = 0; k < columns; k++) { /* its price, so that no reduced cost is negative */
            double reach = cost[(size_t)i * columns + k] - price[k];
            if (k == 0 || reach < price_row[i])
                price_row[i] = reach;
        }
        for (int k = 0; k < n; k++) {
            done[k] = 0;
            distance[k] = -1.0; /* not reached */
        }
        while (row_of[j] >= 0) {
            int row = row_of[j], next = -1;
            double step = 0.0;
            done[j] = 1;
            for (int k = 0; k < columns; k++) {
                if (done[k])
                    continue;
                double reach = cost[(size_t)row * columns + k] - price_row[row] - price[k];
                if (reach < 0.0)
                    reach = 0.0; /* rounding */
                if (distance[k] < 0.0 || reach < distance[k]) {
                    distance[k] = reach;
                    before[k] = j;
                }
                if (next < 0 || distance[k] < step) {
                    step = distance[k];
                    next = k;
                }
            }
            for (int k = 0; k < n; k++) {
                if (done[k]) {
                    price_row[row_of[k]] += step;
                    price[k] -= step;
                } else if (distance[k] >= 0.0)
                    distance[k] -= step;
            }
            j = next;
        }
        while (j != columns) {
            row_of[j] = row_of[before[j]];
            j = before[j];
        }
    }
    for (int j = 0; j < columns; j++)
        if (row_of[j] >= 0)
            col_of[row_of[j]] = j;
    status = 0;
end:
    free(price_row), free(price), free(distance), free(row_of), free(before), free(done);
    return status;
}
