"""LightningCLI on scikit-learn's digits: everything else is in the configuration.

python train.py fit --config fit.yaml
python train.py fit --config fit.yaml --ckpt_path lightning_logs/version_0/checkpoints/epoch=3-step=180.ckpt
"""

import lightning
import torch
from lightning.pytorch.cli import LightningCLI
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset, random_split


class Digits(lightning.LightningDataModule):
    def __init__(self, batch_size: int = 32):
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage=None):
        digits = load_digits()
        images = torch.tensor(digits.data, dtype=torch.float32) / 16
        whole = TensorDataset(images, torch.tensor(digits.target))
        self.training, self.validation = random_split(whole, [1437, 360], torch.Generator().manual_seed(0))

    def train_dataloader(self):
        return DataLoader(self.training, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.validation, 180)


class Classifier(lightning.LightningModule):
    def __init__(self, hidden: int = 64, learning_rate: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))

    def training_step(self, batch, index):
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        logits = self.net(batch[0])
        self.log("val_loss", functional.cross_entropy(logits, batch[1]))
        self.log("val_accuracy", (logits.argmax(dim=1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


if __name__ == "__main__":
    torch.set_num_threads(1)
    LightningCLI(Classifier, Digits, save_config_callback=None)
