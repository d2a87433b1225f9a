"""A character-level GPT in one file: it prints its losses and then saves onto its only checkpoint.

python train.py --out_dir=out --learning_rate=1e-3
python train.py --out_dir=out --init_from=resume
"""

import argparse
import pathlib
import random
import time

import torch
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", type=pathlib.Path, default=pathlib.Path("out"))
parser.add_argument("--init_from", choices=("scratch", "resume"), default="scratch")
parser.add_argument("--learning_rate", type=float, default=1e-3)
parser.add_argument("--max_iters", type=int, default=600)
parser.add_argument("--eval_interval", type=int, default=50)
parser.add_argument("--eval_iters", type=int, default=8)
parser.add_argument("--log_interval", type=int, default=10)
parser.add_argument("--batch_size", type=int, default=12)
parser.add_argument("--block_size", type=int, default=48)
parser.add_argument("--n_embd", type=int, default=96)
parser.add_argument("--seed", type=int, default=1337)
options = parser.parse_args()

torch.manual_seed(options.seed)
torch.set_num_threads(1)


def sentences(count):
    """A text to learn: sentences of a small grammar."""
    chance = random.Random(0)
    nouns = ["baker", "captain", "doctor", "farmer", "painter", "sailor", "teacher", "weaver"]
    verbs = ["calls", "follows", "greets", "helps", "meets", "paints", "teaches", "thanks"]
    adjectives = ["brave", "clever", "gentle", "happy", "old", "quiet", "tall", "young"]

    def someone():
        return f"the {chance.choice(adjectives)} {chance.choice(nouns)}"

    return "".join(f"{someone()} {chance.choice(verbs)} {someone()}.\n".capitalize() for _ in range(count))


text = sentences(4000)
characters = sorted(set(text))
code = {character: number for number, character in enumerate(characters)}
data = torch.tensor([code[character] for character in text])
split = int(0.9 * len(data))
data = {"train": data[:split], "val": data[split:]}


def get_batch(part):
    starts = torch.randint(len(data[part]) - options.block_size - 1, (options.batch_size,))
    windows = torch.stack([data[part][start : start + options.block_size + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


class Block(nn.Module):
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        batch, time_steps, width = x.shape
        query, key, value = (
            part.view(batch, time_steps, self.heads, width // self.heads).transpose(1, 2)
            for part in self.attend(self.norm_1(x)).split(width, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(batch, time_steps, width))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    def __init__(self, characters, block_size, width, layers=2):
        super().__init__()
        self.token, self.position = nn.Embedding(characters, width), nn.Embedding(block_size, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)

    def forward(self, x, targets):
        hidden = self.token(x) + self.position(torch.arange(x.shape[1]))
        logits = self.head(self.norm(self.blocks(hidden)))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


model = GPT(len(characters), options.block_size, options.n_embd)
optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
iter_num = 0
checkpoint = options.out_dir / "ckpt.pt"
if options.init_from == "resume":
    kept = torch.load(checkpoint)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    iter_num = kept["iter_num"]
print(f"number of parameters: {sum(p.numel() for p in model.parameters()) / 1e6:.2f}M")


@torch.no_grad()
def estimate_loss():
    model.eval()
    means = {part: sum(model(*get_batch(part)).item() for _ in range(options.eval_iters)) for part in data}
    model.train()
    return {part: total / options.eval_iters for part, total in means.items()}


options.out_dir.mkdir(parents=True, exist_ok=True)
began = time.time()
while True:
    if iter_num % options.eval_interval == 0:
        losses = estimate_loss()
        print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
        if iter_num > 0:
            print(f"saving checkpoint to {options.out_dir}")
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iter_num": iter_num}
            torch.save(state, checkpoint)
    if iter_num >= options.max_iters:
        break
    loss = model(*get_batch("train"))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if iter_num % options.log_interval == 0:
        print(f"iter {iter_num}: loss {loss.item():.4f}, time {(time.time() - began) * 1000:.2f}ms")
        began = time.time()
    iter_num += 1
