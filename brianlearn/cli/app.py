"""The command line: ``brianlearn train | evaluate | data | demo | doctor``, and the same options for network scripts.

A network script is a Python file that defines ``experiment()``, which returns an `Experiment`, and ends with::

    if __name__ == "__main__":
        bl.main(experiment)

so that ``python script.py --epochs 2`` and ``brianlearn train script.py --epochs 2`` are the same. Parameters of
``experiment()`` are options of the script's own, which follow its name.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brianlearn import __version__
from brianlearn.cli import certify as certify_command
from brianlearn.cli import data as data_commands
from brianlearn.cli import examples as example_commands
from brianlearn.cli import plot as plot_command
from brianlearn.cli import report as report_command
from brianlearn.cli import study as study_commands
from brianlearn.cli.console import user_errors
from brianlearn.cli.script_command import ScriptCommand
from brianlearn.errors import ArgumentError, did_you_mean
from brianlearn.scripts.loading import call_experiment, find_script, load_experiment, run_script

if TYPE_CHECKING:
    from brianlearn.learning import Rule
    from brianlearn.study import Study
    from brianlearn.training import Callback, Evaluation, Experiment, Result

__all__ = ["app", "main"]

app = typer.Typer(
    name="brianlearn",
    help="Deep spiking networks, declared as Brian2 equations, taught by local rules or back-propagation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.add_typer(data_commands.app, name="data")
app.add_typer(study_commands.app, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"brianlearn {__version__}")
        raise typer.Exit


@app.callback()
def _brianlearn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


class RuleName(StrEnum):
    """Rules by name."""

    dalton = "dalton"
    tfr = "tfr"
    dfa = "dfa"
    eprop = "eprop"
    decolle = "decolle"
    stbp = "stbp"
    bptt = "bptt"


class LossName(StrEnum):
    """Losses of back-propagation rules by name."""

    van_rossum = "van-rossum"
    hamming = "hamming"
    spike_count = "spike-count"
    rate_mse = "rate-mse"
    readout_mse = "readout-mse"
    cross_entropy = "cross-entropy"


class CreditName(StrEnum):
    """How far back a local error reaches."""

    online = "online"
    through_time = "through-time"


class EligibilityName(StrEnum):
    """Presynaptic factors of three-factor rules by name."""

    spike = "spike"
    trace = "trace"


class TimingName(StrEnum):
    """When a spike reaches the next layer."""

    same_step = "same-step"
    brian2 = "brian2"
    pipelined = "pipelined"


class EngineName(StrEnum):
    """Engines by name."""

    auto = "auto"
    brian = "brian"
    discrete = "discrete"


DEVICES = "auto; brian: numpy, cython, cpp_standalone, genn, genn-cpu or runtime; discrete: cpu, cuda"
Json = Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON object.")]
JsonList = Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON array of objects.")]
Engine = Annotated[EngineName | None, typer.Option(help="auto: brian where it can run the rule, else discrete.")]
Device = Annotated[str | None, typer.Option(help=f"{DEVICES}.")]
Timing = Annotated[
    TimingName | None, typer.Option(help="The order within a time step: same-step, brian2 or pipelined.")
]
Defining = Annotated[
    Path | None,
    typer.Option("--script", help="Script that defines classes of your own of which the run holds objects."),
]
Runs = Annotated[Path | None, typer.Option(help="Folder that the run folder goes into.")]


#: What a script's own options need: they pass by the command, which does not know them.
OWN_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(cls=ScriptCommand, context_settings=OWN_OPTIONS)
def train(
    context: typer.Context,
    script: Annotated[
        Path | None,
        typer.Argument(
            help="Network script: a Python file that defines experiment(), or an example's name.", show_default=False
        ),
    ] = None,
    rule: Annotated[RuleName | None, typer.Option(help="Learning rule.")] = None,
    loss: Annotated[LossName | None, typer.Option(help="What stbp or bptt minimises.")] = None,
    credit: Annotated[CreditName | None, typer.Option(help="How far back the errors of dalton or tfr reach.")] = None,
    eligibility: Annotated[EligibilityName | None, typer.Option(help="Presynaptic factor of dalton or tfr.")] = None,
    timing: Timing = None,
    engine: Engine = None,
    device: Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Presentations of the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per weight update.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share a batch (cpp_standalone).")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of the optimiser.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A neuron constant with its unit, e.g. tau_m=10ms; repeatable."
        ),
    ] = None,
    validation: Annotated[int | None, typer.Option(help="Training samples held out and tested each epoch.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many training samples.")] = None,
    test_limit: Annotated[int | None, typer.Option(help="Use only the first so many test samples.")] = None,
    runs: Runs = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write event files for TensorBoard into this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network into a run folder.

    Options that are not below are the script's own and follow its name. With --resume all settings come from the run
    folder; the script is only needed for samples of its own.
    """
    plain = {
        "timing": timing and timing.value,
        "engine": engine and engine.value,
        "device": device,
        "dtype": dtype,
        "epochs": epochs,
        "batch_size": batch_size,
        "workers": workers,
        "seed": seed,
        "validation": validation,
        "limit": limit,
        "test_limit": test_limit,
        "runs": runs,
    }
    with user_errors():
        scripted: Experiment | None = None
        if context.obj is not None:
            scripted = call_experiment(context.obj, sys.argv[0], context.args, _options(context))
        elif script is not None:
            scripted = _load(script, context)
        if resume is not None:
            experiment = _resumed(resume, scripted)
        elif scripted is not None:
            experiment = scripted
        else:
            raise typer.BadParameter("give a network script, or --resume RUN", param_hint="SCRIPT")
        experiment = _override(experiment, rule, loss, learning_rate, constants or [], plain, credit, eligibility)
        callbacks: list[Callback] = []
        if tensorboard is not None:
            from brianlearn.training import TensorBoard

            callbacks.append(TensorBoard(tensorboard))
        result = experiment.run(resume=resume, callbacks=callbacks)
        _report(result, as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    timing: Timing = None,
    engine: Engine = None,
    device: Device = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many test samples.")] = None,
    script: Defining = None,
    as_json: Json = False,
) -> None:
    """Test the weights of a run folder."""
    with user_errors():
        _define(script)
        from brianlearn.training import evaluate as evaluate_run

        found = evaluate_run(
            run,
            engine=engine and engine.value,
            device=device,
            limit=limit,
            timing=timing and timing.value.replace("-", "_"),
        )
        if as_json:
            print(json.dumps(found.to_dict()))
            return
        table = _table()
        table.add_row(*_score(found, "test", f" of {found.samples} samples"))
        if found.test_loss is not None:
            table.add_row("test loss", f"{found.test_loss:.4g}")
        table.add_row("speed", f"{found.samples_per_second:.0f} samples/s on {found.engine}, {found.device}")
        Console().print(table)


app.command()(report_command.report)
app.command()(plot_command.plot)


@app.command(cls=ScriptCommand, context_settings=OWN_OPTIONS)
def verify(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="SCRIPT_OR_RUN", help="Network script, or run folder.")],
    device: Annotated[
        str, typer.Option(help="Of Brian2: auto, numpy, cython, cpp_standalone, genn, genn-cpu or runtime.")
    ] = "auto",
    samples: Annotated[int, typer.Option(min=1, help="Test samples that both engines run.")] = 20,
    rule: Annotated[RuleName | None, typer.Option(help="Compare weights too, after one batch of this rule.")] = None,
    timing: Timing = None,
    script: Defining = None,
    as_json: Json = False,
) -> None:
    """Run both engines on the same weights and inputs and compare every spike; exit status 1 where they differ."""
    with user_errors():
        from brianlearn.training import Experiment
        from brianlearn.training.verify import verify_experiment

        _define(script)
        experiment: Any = target if target.is_dir() else _load(target, context)
        weights = None
        if target.is_dir() and (rule is not None or timing is not None):
            experiment, weights = Experiment.from_run(target), target
        if timing is not None:
            spec = dataclasses.replace(experiment.spec, timing=timing.value.replace("-", "_"))
            experiment = dataclasses.replace(experiment, spec=spec)
        if rule is not None:
            experiment = dataclasses.replace(experiment, rule=_rule(experiment.rule, rule, None), engine="auto")
        found = verify_experiment(experiment, run=weights, device=device, samples=samples, learn=rule is not None)
        if as_json:
            print(json.dumps(found.to_dict()))
        else:
            table = _table()
            for row in found.rows():
                table.add_row(*row)
            Console().print(table)
        if not found.agrees:
            raise typer.Exit(1)


app.command()(certify_command.certify)


class ExportName(StrEnum):
    """What a network can be exported to."""

    cpp = "cpp"
    genn = "genn"
    brian2 = "brian2"
    nir = "nir"


class DiscretisationName(StrEnum):
    """How a reader of NIR integrates."""

    exact = "exact"
    euler = "euler"


class GainsName(StrEnum):
    """Where a NIR file has the factors of weights."""

    neurons = "neurons"
    weights = "weights"
    unit = "unit"


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that is made, or the NIR file.")],
    to: Annotated[
        ExportName,
        typer.Option(help="cpp: Brian2's C++; genn: a project for GeNN; brian2: a Python script; nir: a NIR file."),
    ],
    timing: Timing = None,
    discretisation: Annotated[
        DiscretisationName | None, typer.Option(help="Of NIR: how its reader integrates, exact or euler.")
    ] = None,
    gains: Annotated[
        GainsName | None, typer.Option(help="Of NIR: where factors of weights go: neurons, weights or unit.")
    ] = None,
    step: Annotated[str | None, typer.Option(help="Of NIR: the time step of its reader, e.g. 0.1*ms.")] = None,
    soft_reset: Annotated[bool, typer.Option("--soft-reset", help="Of NIR: write resets that subtract.")] = False,
    script: Defining = None,
) -> None:
    """Write a run's network and weights: as a C++ project, as a script of plain Brian2, or as a NIR file."""
    with user_errors():
        from brianlearn.training.export import export_run

        _define(script)
        changed = timing and timing.value.replace("-", "_")
        options: dict[str, Any] = {
            "discretisation": discretisation and discretisation.value,
            "gains": gains and gains.value,
            "dt": step,
            "soft_reset": soft_reset or None,
        }
        options = {name: value for name, value in options.items() if value is not None}
        if options and to is not ExportName.nir:
            raise ArgumentError(
                "export",
                "these options are those of NIR files",
                got=f"--to {to.value}, and {', '.join(options)}",
                expected="--to nir",
            )
        if to is ExportName.nir:
            from brianlearn.interop.nir.runs import export_nir

            made = export_nir(run, folder, timing=changed, **options)
        else:
            made = export_run(run, folder, to=to.value, timing=changed)
        table = _table()
        table.add_row("exported to", str(made))
        if to is ExportName.nir:
            table.add_row("read it", f"nir.read({str(made)!r}), or bl.from_nir")
        elif to is ExportName.brian2:
            table.add_row("run it", f"python {made}/network.py")
        else:
            table.add_row("run it", f"{made}/run.sh SPIKES OUTPUT [TRIALS]")
            table.add_row("read on", f"{made}/README.md")
        Console().print(table)


@app.command(cls=ScriptCommand, context_settings=OWN_OPTIONS)
def profile(
    context: typer.Context,
    script: Annotated[
        Path, typer.Argument(help="Network script: a Python file that defines experiment(), or an example's name.")
    ],
    rule: Annotated[RuleName | None, typer.Option(help="Learning rule.")] = None,
    device: Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per weight update.")] = None,
    samples: Annotated[int, typer.Option(help="Training samples to learn from.", min=1)] = 200,
    show: Annotated[int, typer.Option(help="Rows of the table; 0 for all.", min=0)] = 20,
    as_json: Json = False,
) -> None:
    """Say where the time of a network goes while it learns in Brian2, object by object."""
    with user_errors():
        from brianlearn.training.profile import profile as measure

        plain = {"device": device, "dtype": dtype, "batch_size": batch_size}
        found = measure(_override(_load(script, context), rule, None, None, [], plain), samples=samples)
        if as_json:
            print(json.dumps(found.to_dict()))
            return
        rows = found.parts[: show or None]
        table = Table(title=f"{found.samples} samples on {found.device}, {found.dtype}", box=SIMPLE_HEAD)
        for column in ("object", "layer", "ms/sample", "share"):
            table.add_column(column, justify="left" if column in ("object", "layer") else "right", no_wrap=True)
        for part in rows:
            table.add_row(part.name, part.layer, f"{part.milliseconds:.4f}", f"{part.share:.1%}")
        if len(rows) < len(found.parts):
            rest = found.parts[len(rows) :]
            table.add_row(
                f"{len(rest)} others",
                "",
                f"{sum(p.milliseconds for p in rest):.4f}",
                f"{sum(p.share for p in rest):.1%}",
            )
        Console().print(table)
        facts = _table()
        facts.add_row("speed", f"{found.samples_per_second:.0f} samples/s; {found.overhead:.1%} outside of objects")
        events = ", ".join(f"{name} {n:.0f}" for name, n in found.synaptic_events.items())
        facts.add_row("synaptic events", f"{found.synaptic_events_per_second:.3g} per second; per sample: {events}")
        facts.add_row("rates", ", ".join(f"{name} {rate:.1f} Hz" for name, rate in found.firing_rates.items()))
        facts.add_row(
            "memory",
            f"weights {found.weight_bytes / 2**20:.1f} MiB, inputs of a chunk {found.input_bytes / 2**20:.1f} MiB",
        )
        Console().print(facts)


@app.command()
def examples(as_json: JsonList = False) -> None:
    """List the example networks, which `brianlearn train` takes by name."""
    with user_errors():
        example_commands.list_examples(as_json)


@app.command()
def new(
    script: Annotated[Path, typer.Argument(help="The file that is written.")],
    example: Annotated[
        str | None,
        typer.Option(
            help="What it begins as: a name from `brianlearn examples`.", show_default="its name's, else digits"
        ),
    ] = None,
) -> None:
    """Write a network script to begin with: a copy of an example network."""
    with user_errors():
        made = example_commands.new_script(script, example)
        print(f"{made} is written; train it with: brianlearn train {shlex.quote(str(made))}")


@app.command()
def demo(
    device: Device = None,
    epochs: Annotated[int | None, typer.Option(help="Presentations of the training set; 30 if not given.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many training samples.")] = None,
    test_limit: Annotated[int | None, typer.Option(help="Use only the first so many test samples.")] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Teach handwritten digits to a spiking network, with DALTON and with TFR."""
    with user_errors():
        from brianlearn.cli.demo import run_demo

        given = {"epochs": epochs, "limit": limit, "test_limit": test_limit}
        changes = {name: value for name, value in given.items() if value is not None}
        run_demo(device=device or "auto", runs=runs or Path("runs"), as_json=as_json, **changes)


class CacheName(StrEnum):
    """Parts of the cache."""

    builds = "builds"
    kernels = "kernels"
    events = "events"
    data = "data"


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, it is only listed.")] = False,
    cache: Annotated[
        list[CacheName] | None,
        typer.Option(
            help="Also a part of the cache: builds (compiled programs that no process uses), kernels, events (binned "
            "recordings) or data (downloads); repeatable. All of it can be made or fetched again."
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of run folders; results are never removed.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List what killed processes left behind, and how large the cache is; with --yes, remove it."""
    with user_errors():
        from brianlearn.cli.clean import clean as clean_up

        clean_up(frozenset(name.value for name in cache or ()), runs, yes=yes, as_json=as_json)


@app.command()
def doctor(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="All details, and how to get what is missing.")
    ] = False,
    as_json: JsonList = False,
) -> None:
    """Say what this machine can run, and how to get what is missing."""
    from brianlearn.machine.doctor import examine, show

    findings = examine()
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        show(findings, Console(), verbose)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


def main(experiment: Callable[..., Experiment | Study] | Experiment | Study) -> NoReturn:
    """Command line of a script: the options of ``brianlearn train``, or of ``brianlearn study``.

    Parameters
    ----------
    experiment : callable, Experiment or Study
        The experiment that the options start from, or a function that returns it; or a study, or a function named
        ``study`` that returns it.

    Raises
    ------
    SystemExit
        Always: 0; 1 for an error that the user can act on; 2 for wrong usage; 128 + number after a signal (130 after
        Ctrl-C).
    """
    if getattr(experiment, "__name__", type(experiment).__name__.lower()) == "study":
        study_commands.run_study()
    command: Any = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    command.params = [parameter for parameter in command.params if parameter.name != "script"]
    command(args=sys.argv[1:], prog_name=Path(sys.argv[0]).name, obj=experiment)
    raise SystemExit(0)


def _options(context: typer.Context) -> list[str]:
    """The options of the command."""
    return [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]


def _load(script: Path, context: typer.Context) -> Experiment:
    """The experiment of a network script, with the options of its own."""
    if str(script).startswith("-"):
        near = did_you_mean(str(script).partition("=")[0], _options(context))
        remedy = near or "options of a script's own follow its name"
        raise typer.BadParameter(f"no such option: {script} ({remedy})")
    return load_experiment(script, context.args, _options(context))


def _define(script: Path | None) -> None:
    """Let a run folder hold objects of the classes that a script defines."""
    if script is not None:
        run_script(find_script(script))


def _resumed(resume: Path, scripted: Experiment | None) -> Experiment:
    """The experiment of a run folder, with the script's samples where the run's have no name."""
    from brianlearn.data import DataSource
    from brianlearn.training import Experiment
    from brianlearn.training.serialise import differences

    if scripted is None:
        return Experiment.from_run(resume)
    experiment = Experiment.from_run(resume, None if isinstance(scripted.data, str | DataSource) else scripted.data)
    then, now = ({k: v for k, v in e.settings().items() if k != "name"} for e in (experiment, scripted))
    changed = [f"{where} = {old} (script: {new})" for where, old, new in differences(then, now)]
    if changed:
        Console(stderr=True, soft_wrap=True).print(
            f"going on with the settings of the run: {', '.join(changed)}",
            style="yellow",
            markup=False,
            highlight=False,
        )
    return experiment


def _override(
    experiment: Experiment,
    rule: RuleName | None,
    loss: LossName | None,
    learning_rate: float | None,
    constants: list[str],
    plain: dict[str, Any],
    credit: CreditName | None = None,
    eligibility: EligibilityName | None = None,
) -> Experiment:
    """The experiment with the options of the command line."""
    from brianlearn.network.quantities import parse_quantity

    changes = {name: value for name, value in plain.items() if value is not None}
    changes["rule"] = _local(_rule(experiment.rule, rule, loss), credit, eligibility)
    if learning_rate is not None:
        changes["optimiser"] = dataclasses.replace(experiment.optimiser, learning_rate=learning_rate)
    values = {}
    for text in constants:
        name, separator, value = text.partition("=")
        if not separator or not name.strip().isidentifier():
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE, e.g. tau_m=10ms", param_hint="--set")
        values[name.strip()] = parse_quantity(value)
    if values:
        changes["spec"] = experiment.spec.with_constants(**values)
    timing = changes.pop("timing", None)
    if timing is not None:
        changes["spec"] = dataclasses.replace(changes.get("spec", experiment.spec), timing=timing.replace("-", "_"))
    return dataclasses.replace(experiment, **changes)


def _rule(rule: Rule, name: RuleName | None, loss: LossName | None) -> Rule:
    """The script's rule, with the options of the command line."""
    from brianlearn.learning.named import rule_named, with_loss_named

    if name is not None:
        rule = rule_named(name.value, rule)
    return rule if loss is None else with_loss_named(rule, loss.value)


def _local(rule: Rule, credit: CreditName | None, eligibility: EligibilityName | None) -> Rule:
    """The rule with the options of local rules."""
    from brianlearn.errors import RuleError
    from brianlearn.learning import ThreeFactorRule

    given = {"credit": credit, "eligibility": eligibility}
    changes = {name: option.value.replace("-", "_") for name, option in given.items() if option is not None}
    if not changes:
        return rule
    if not isinstance(rule, ThreeFactorRule):
        raise RuleError(
            f"rule {rule.name!r}",
            "this is an option of local rules",
            got=" ".join(f"--{name} {option.value}" for name, option in given.items() if option is not None),
            expected="--rule dalton or --rule tfr",
        )
    return dataclasses.replace(rule, **changes)  # type: ignore[arg-type]


def _table() -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _score(found: Result | Evaluation, part: str, rest: str = "") -> tuple[str, str]:
    """What a score is, and its value."""
    from brianlearn.training.progress import scored

    kind, value = scored(vars(found), part).split(" ", 1)
    return f"{part} {kind}", f"{value}{rest}"


def _report(result: Result, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.to_dict()))
        return
    from brianlearn.training.scores import kind_in

    table = _table()
    table.add_row(*_score(result, "test"))
    if kind_in(vars(result), "validation") is not None:
        table.add_row(*_score(result, "validation"))
    table.add_row(*_score(result, "train", " while learning, in the last epoch"))
    table.add_row("rule, device", f"{result.rule}, {result.device}")
    table.add_row("epochs", f"{result.epochs} in {result.seconds:.1f} s, {result.samples_per_second:.0f} samples/s")
    table.add_row("made ready in", f"{result.build_seconds:.1f} s")
    table.add_row("run folder", str(result.run))
    Console().print(table)
