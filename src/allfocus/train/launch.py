"""Devices, precision and memory of a run, through Lightning Fabric."""

from __future__ import annotations

import atexit
import os
from collections.abc import Collection
from typing import Any

from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from lightning.fabric.strategies.ddp import DDPStrategy

from allfocus.allocator import keep_freed_memory
from allfocus.errors import OptionError
from allfocus.train.config import TrainConfig

BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16"})
"""Instruction sets that multiply in bfloat16; without one, autocast takes three times as long as float32."""
TORCHRUN = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK")


class Autocast(MixedPrecision):
    """Mixed precision inside the networks; pictures stay float32 on the way in, as a target needs more than 8 bits."""

    def convert_input(self, data: Any) -> Any:
        """As it is."""
        return data


def precision_here(precision: str, kind: str, features: Collection[str]) -> str:
    """What "auto" means on a device of `kind` "cpu" or "cuda", whose instruction sets `features` lists."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if kind != "cpu" or BFLOAT16 & set(features) else "32-true"


def processor_features() -> frozenset[str]:
    """The instruction sets that this processor has."""
    import torch

    return frozenset(name for name, there in torch.cpu.get_capabilities().items() if there is True)


def open_fabric(config: TrainConfig, accelerator: str = "auto", devices: int = 1) -> Fabric:
    """Fabric for a run; every process of it calls this.

    Args:
        config: gives the precision.
        accelerator: "auto", "cpu" or "cuda".
        devices: processes on this machine, one device each; under torchrun its numbers count.

    Raises:
        OptionError: devices that are not there, or float16 on a CPU.
    """
    import torch

    nodes = 1
    if all(name in os.environ for name in TORCHRUN):
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    kind = accelerator if accelerator != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and torch.cuda.device_count() < devices:
        raise OptionError(f"{devices} CUDA devices", f"at most {torch.cuda.device_count()} here", "--devices 1")
    if kind == "cpu" and config.precision == "16-mixed":
        raise OptionError("16-mixed on a CPU", "bf16-mixed or 32-true", "--set precision=bf16-mixed")
    if kind == "cpu":
        keep_freed_memory()
    precision: Any = precision_here(config.precision, kind, processor_features())
    several = devices * nodes > 1
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy() if several else "auto",
        plugins=None if precision == "32-true" else Autocast(precision, kind),
    )
    fabric.launch()
    if several:
        atexit.register(_leave_process_group)
    return fabric


def _leave_process_group() -> None:
    """End it while Python is whole.

    Lightning does so for NCCL only. Gloo's threads release the gradients of the last step on their own; where Python
    is already shutting down, that aborts a run that is complete.
    """
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
