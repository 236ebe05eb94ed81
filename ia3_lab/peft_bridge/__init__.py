"""The thin layer between the book and Hugging Face's PEFT."""

from ia3_lab.peft_bridge.report import describe_adapter

__all__ = ["describe_adapter"]
