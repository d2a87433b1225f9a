"""Data-parallel training under torchrun: it saves a snapshot, and goes on from it by itself where it finds one.

torchrun --standalone --nproc-per-node 2 train.py 33 --snapshot_path out/snapshot.pt
"""

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch.nn.functional import mse_loss
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def points(count, seed):
    """Inputs, and targets that depend on them linearly."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 20, generator=generator)
    return TensorDataset(inputs, inputs @ torch.linspace(-1, 1, 20).unsqueeze(1))


class Trainer:
    def __init__(self, options):
        self.rank = int(os.environ["LOCAL_RANK"])
        self.options = options
        training = points(2048, seed=0)
        self.training = DataLoader(training, options.batch_size, sampler=DistributedSampler(training))
        self.validation = DataLoader(points(256, seed=1), 256)
        self.model = torch.nn.Linear(20, 1)
        self.epochs_run = 0
        if os.path.exists(options.snapshot_path):
            snapshot = torch.load(options.snapshot_path)
            self.model.load_state_dict(snapshot["MODEL_STATE"])
            self.epochs_run = snapshot["EPOCHS_RUN"]
            print(f"Resuming training from snapshot at Epoch {self.epochs_run}")
        self.model = DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=options.learning_rate)

    def train(self):
        for epoch in range(self.epochs_run, self.options.total_epochs):
            loss = self.run_epoch(epoch)
            print(f"[GPU{self.rank}] Epoch {epoch} | Batchsize: {self.options.batch_size} | Loss: {loss:.5f}")
            if epoch % self.options.save_every == 0 or epoch == self.options.total_epochs - 1:
                print(f"[GPU{self.rank}] Epoch {epoch} | Validation loss: {self.validate():.5f}")
                if self.rank == 0:
                    self.save(epoch)

    def run_epoch(self, epoch):
        self.training.sampler.set_epoch(epoch)
        total = 0.0
        for inputs, targets in self.training:
            loss = mse_loss(self.model(inputs), targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
            time.sleep(self.options.pause)
        return total / len(self.training)

    @torch.no_grad()
    def validate(self):
        return sum(mse_loss(self.model.module(inputs), targets).item() for inputs, targets in self.validation)

    def save(self, epoch):
        snapshot = {"MODEL_STATE": self.model.module.state_dict(), "EPOCHS_RUN": epoch + 1}
        torch.save(snapshot, self.options.snapshot_path)
        print(f"Epoch {epoch} | Training snapshot saved at {self.options.snapshot_path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("total_epochs", type=int)
    parser.add_argument("--save_every", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--snapshot_path", default="snapshot.pt")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds that a step takes at least")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        Trainer(parser.parse_args()).train()
    finally:
        dist.destroy_process_group()
