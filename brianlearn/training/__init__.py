"""The loop that both engines share: learners, experiments, checkpoints, run folders, progress."""

from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments
from brianlearn.training.adopted import Adopted, adopt
from brianlearn.training.callbacks import Callback
from brianlearn.training.certificates import Certificate, Check, certify
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.citing import Citation, citation
from brianlearn.training.energy import EnergyEntry, EnergyLedger, EnergyTable, energy_ledger
from brianlearn.training.evaluation import Evaluation, evaluate
from brianlearn.training.experiment import Experiment
from brianlearn.training.fitting import Fit, fit, inject
from brianlearn.training.learner import Learner, Metrics, RecordedMetrics
from brianlearn.training.progress import LineProgress, LiveProgress, NotebookProgress, Progress
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import from_dict, to_dict
from brianlearn.training.tensorboard import TensorBoard
from brianlearn.training.weight_history import WeightHistory

__all__ = [
    "Adopted",
    "Callback",
    "Certificate",
    "Check",
    "Checkpoint",
    "Citation",
    "EnergyEntry",
    "EnergyLedger",
    "EnergyTable",
    "Evaluation",
    "Experiment",
    "Fit",
    "Learner",
    "LineProgress",
    "LiveProgress",
    "Metrics",
    "NotebookProgress",
    "Progress",
    "RecordedMetrics",
    "Result",
    "RunFolder",
    "TensorBoard",
    "WeightHistory",
    "adopt",
    "certify",
    "citation",
    "energy_ledger",
    "evaluate",
    "fit",
    "from_dict",
    "inject",
    "to_dict",
]

install()
name_arguments(globals())
