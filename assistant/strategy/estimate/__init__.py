"""Estimates data, training, serving and three-year costs as ranges with formulas and sources."""

from __future__ import annotations

from assistant.strategy.estimate.assumptions import Assumption, Prices, load_prices
from assistant.strategy.estimate.costs import Costs, compare
from assistant.strategy.estimate.cpu import CpuServing, output_needed, serve_cpu
from assistant.strategy.estimate.data_needs import DataNeeds, data_needs, labelling_cost
from assistant.strategy.estimate.hardware import (
    CpuServer,
    Gpu,
    cpu_servers,
    find_cpu,
    find_gpu,
    gpus,
)
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.memory import kv_cache, training_memory, weights
from assistant.strategy.estimate.models import Model, find_model, models
from assistant.strategy.estimate.options import Option
from assistant.strategy.estimate.serving import Serving, serve
from assistant.strategy.estimate.training import Job, Training, train

__all__ = [
    "Assumption",
    "Costs",
    "CpuServer",
    "CpuServing",
    "DataNeeds",
    "Gpu",
    "Job",
    "Load",
    "Model",
    "Option",
    "Prices",
    "Serving",
    "Training",
    "compare",
    "cpu_servers",
    "data_needs",
    "find_cpu",
    "find_gpu",
    "find_model",
    "gpus",
    "kv_cache",
    "labelling_cost",
    "load_prices",
    "models",
    "output_needed",
    "serve",
    "serve_cpu",
    "train",
    "training_memory",
    "weights",
]
