"""The size of an instance in words."""

from matchopt.instances import AssignmentInstance, Instance, LayerInstance, NetworkInstance, ProgramInstance


def size_of(instance: Instance) -> str:
    """The size of an instance, such as "300 rows on 300 neurons with 10 cells, 2400 connections"."""
    if isinstance(instance, NetworkInstance):
        return "; ".join([*(size_of(layer) for layer in instance.layers), *_of_network(instance)])
    if isinstance(instance, LayerInstance):
        target, hardware = instance.target, instance.hardware
        return (
            f"{target.n_rows} rows of {target.n_inputs} inputs, {target.n_connections} connections, "
            f"on {hardware.n_neurons} neurons with {hardware.n_cells} cells"
        )
    if isinstance(instance, AssignmentInstance):
        return f"{instance.n_rows} rows, {instance.n_cols} columns, {instance.n_pairs} pairs"
    if isinstance(instance, ProgramInstance):
        return f"{instance.n_rows} rows, {instance.n_variables} variables, {len(instance.coefficients)} coefficients"
    return instance.kind


def _of_network(instance: NetworkInstance) -> list[str]:
    """What a network has besides its layers: its objective and the samples behind it, budgets, adjustable biases."""
    objective, found = instance.objective, []
    if objective is not None:
        found.append(f"{objective.name} on {len(objective.inputs)} samples")
    else:
        names = dict.fromkeys(layer.objective.name for layer in instance.layers)
        found.append(f"{' and '.join(names)} summed over layers")
    if instance.tunable:
        found.append(f"{instance.tunable} tunable connections")
    if instance.one_chip:
        found.append("all layers on one chip")
    if instance.chained:
        found.append("arrays one behind the other")
    kinds = "hardware" if instance.biases is None else "adjustable" if instance.adjustable else "free"
    return [*found, f"{kinds} biases"]
