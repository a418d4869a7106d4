"""Stands for your own training: a small network by plain PyTorch, pruned to 16 inputs a unit, as a state dict."""

import torch
from torch import nn

from matchopt.network import load_mnist

torch.set_num_threads(1)
torch.manual_seed(0)
data = load_mnist()
images, labels = torch.tensor(data.train_images[:10_000]).float(), torch.tensor(data.train_labels[:10_000]).long()
model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
adam = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(4):
    for batch in torch.randperm(len(images)).split(200):
        adam.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        adam.step()
        with torch.no_grad():
            for layer in (model[0], model[2]) if epoch > 0 else ():
                least = layer.weight.abs().topk(16, dim=1).values[:, -1:]
                layer.weight[layer.weight.abs() < least] = 0.0
torch.save(model.state_dict(), "mine.pt")
