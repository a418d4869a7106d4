"""What people read: progress bars, tables, and figures and sizes in words."""
