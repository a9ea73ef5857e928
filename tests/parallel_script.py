"""Run by torchrun: gradients of a batch that two processes share, against those of one process."""

import torch
import torch.distributed as dist
from brian2 import ms
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import brianlearn as bl
from brianlearn.discrete import TrialLoss, export


def main() -> None:
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    neuron = bl.SequenceLIF()
    layers = [bl.Conv(3, 3, neuron, pool=2, weights=bl.Normal(3.0)), bl.Dense(4, neuron)]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8), bl.DirectCurrent(0.5)), layers, None, duration=8 * ms)
    torch.manual_seed(0)
    values, labels = torch.rand(12, 1, 8, 8, dtype=torch.float64), torch.arange(12) % 4
    data = TensorDataset(values, labels)
    loss = TrialLoss(bl.VanRossum(), spec)

    module = export(spec, seed=1, reset_path="kept", dtype=torch.float64)
    parallel = DistributedDataParallel(module)
    sampler = DistributedSampler(data, num_replicas=size, rank=rank, shuffle=False)
    (mine,) = DataLoader(data, batch_size=12 // size, sampler=sampler)
    assert len(mine[0]) == 12 // size
    loss(parallel(mine[0]), mine[1]).mean().backward()

    alone = export(spec, seed=1, reset_path="kept", dtype=torch.float64)
    loss(alone(values), labels).mean().backward()
    for name, parameter in alone.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-4, name
        difference = (parameter.grad - module.get_parameter(name).grad).abs().max().item()
        assert difference < 1e-12, f"{name}: {difference}"
    print(f"process {rank} of {size}: equal gradients")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
