"""Fine-tuning as Hugging Face's examples do it: a text classifier under Trainer, with Trainer's own options.

python train.py --output_dir out --num_train_epochs 6 --learning_rate 1e-3
python train.py --output_dir out --num_train_epochs 6 --resume_from_checkpoint out/checkpoint-120
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    HfArgumentParser,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

PRAISE = ["good", "great", "lovely", "superb", "warm", "witty"]
BLAME = ["awful", "bland", "dull", "poor", "weak", "noisy"]
OTHER = [f"word{number}" for number in range(200)]


@dataclass
class DataArguments:
    train_examples: int = 2400
    eval_examples: int = 400


class Reviews(torch.utils.data.Dataset):
    """Made-up reviews: of three words with a judgement, the label agrees with two."""

    def __init__(self, count, seed, tokenizer):
        chance = random.Random(seed)
        self.rows = []
        for _ in range(count):
            label = chance.randrange(2)
            said, unsaid = (PRAISE, BLAME) if label else (BLAME, PRAISE)
            words = [*chance.choices(OTHER, k=12), *chance.choices(said, k=2), chance.choice(unsaid)]
            chance.shuffle(words)
            self.rows.append({**tokenizer(" ".join(words)), "labels": label})

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def make_tokenizer():
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *PRAISE, *BLAME, *OTHER])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")


def accuracy(prediction):
    return {"accuracy": float((np.argmax(prediction.predictions, axis=-1) == prediction.label_ids).mean())}


def main():
    data, training = HfArgumentParser((DataArguments, TrainingArguments)).parse_args_into_dataclasses()
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128
    )
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=training,
        train_dataset=Reviews(data.train_examples, 0, tokenizer),
        eval_dataset=Reviews(data.eval_examples, 1, tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()


if __name__ == "__main__":
    main()
