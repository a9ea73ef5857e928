"""Data that several processes load or learn from."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from brian2 import ms

import brianlearn as bl

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset  # noqa: E402

from brianlearn.discrete import TrialLoss, export  # noqa: E402

HERE = Path(__file__).parent


def torchrun(script: Path, processes: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    return subprocess.run(
        [*command, str(script)], env=environment, cwd=script.parent, capture_output=True, text=True, check=False
    )


def test_two_processes_make_the_gradients_of_one() -> None:
    done = torchrun(HERE / "parallel_script.py", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("equal gradients") == 2


@pytest.mark.slow
def test_the_script_of_the_documentation(tmp_path: Path) -> None:
    page = (HERE.parent / "docs" / "stbp.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "parallel.py").write_text(script)
    done = torchrun(tmp_path / "parallel.py", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "weights.npz").is_file()


class Spikes(Dataset):
    """Trials that are made when they are asked for, as from files that do not fit into memory."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, k: int) -> tuple[torch.Tensor, int]:
        made = torch.rand((8, 5), generator=torch.Generator().manual_seed(k)) < 0.5
        return made.float(), k % 3


def gradient(workers: int) -> dict[str, torch.Tensor]:
    neuron = bl.SequenceLIF()
    spec = bl.NetworkSpec(
        bl.Input((5,), bl.Spikes()), [bl.Dense(6, neuron), bl.Dense(3, neuron)], None, duration=8 * ms
    )
    module, loss = export(spec, seed=1), TrialLoss(bl.Hamming(), spec)
    for trains, labels in DataLoader(Spikes(), batch_size=4, num_workers=workers):
        loss(module(trains.swapaxes(0, 1)), labels).mean().backward()
    return {name: p.grad for name, p in module.named_parameters()}


def test_workers_of_a_data_loader() -> None:
    alone, shared = gradient(0), gradient(2)
    assert all(torch.equal(alone[name], g) for name, g in shared.items())
    assert all(g.abs().max() > 0 for g in shared.values())


def test_a_module_can_be_sent_to_another_process() -> None:
    spec = bl.NetworkSpec(bl.Input((5,)), [bl.Dense(6, bl.CubaLIF(R=4.0))], bl.Readout(3), duration=8 * ms)
    module, values = export(spec), torch.rand(4, 5)
    expected = module(values).logits
    assert torch.equal(pickle.loads(pickle.dumps(module))(values).logits, expected)
