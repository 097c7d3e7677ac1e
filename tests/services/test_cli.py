"""The command line as its users type it: what it prints, what it exits with, and what it does with bad input."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palestra.infra import store as db
from palestra.services.cli.main import run
from palestra.services.scaffold.render import write_plugin

BROKEN_IMPORT = "raise RuntimeError('no luck today')\n"
BROKEN_PROPOSE = """
from palestra_lights import Lights

class Broken(Lights):
    id = "broken"

    def propose(self, rng, level):
        return 1 / 0
"""
SLOPPY = """
from palestra.verifiers.checks import all_of, check
from palestra_lights import Lights

class Sloppy(Lights):
    id = "sloppy"

    def verify(self, task, answer, world):
        return all_of([check("anything", True)])
"""
FEW = """
import random
from palestra_lights import Lights

class Few(Lights):
    id = "few"

    def propose(self, rng, level):
        task = super().propose(random.Random(rng.randrange(3)), level)
        return task.model_copy(update={"seed": rng.getrandbits(32)})
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Installed plugins: one works; others cannot be imported, cannot propose, pass any answer, know three tasks."""
    folder = tmp_path_factory.mktemp("plugins")
    write_plugin("lights", folder)
    (folder / "lights" / "palestra_lights.py").rename(folder / "palestra_lights.py")
    (folder / "palestra_shattered.py").write_text(BROKEN_IMPORT)
    (folder / "palestra_broken.py").write_text(BROKEN_PROPOSE)
    (folder / "palestra_sloppy.py").write_text(SLOPPY)
    (folder / "palestra_few.py").write_text(FEW)
    info = folder / "plugins-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 0.1\n")
    points = [
        "lights = palestra_lights:Lights",
        "shattered = palestra_shattered:X",
        "broken = palestra_broken:Broken",
        "sloppy = palestra_sloppy:Sloppy",
        "few = palestra_few:Few",
    ]
    (info / "entry_points.txt").write_text("\n".join(["[palestra.environments]", *points]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def cluster(plugins: Path) -> Iterator[None]:
    """One local Ray for all tests of this file; its workers see the plugins."""
    import ray

    from palestra.rollout.cluster import connect

    connect(cpus=2)
    yield
    ray.shutdown()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def data(result: tuple[int, str, str], code: int = 0) -> Any:
    assert result[0] == code, result
    return json.loads(result[1])


def refused(result: tuple[int, str, str]) -> str:
    """The one line of a command that could not go on."""
    code, out, err = result
    assert code != 0
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("palestra: ")
    return err


def test_version_and_help(cli: Run) -> None:
    assert cli("--version")[:2] == (0, "palestra 0.1.0\n")
    out = cli("--help")[1]
    for command in (
        "quickstart",
        "doctor",
        "env",
        "synth",
        "rollout",
        "train",
        "eval",
        "replay",
        "serve",
        "images",
        "job",
    ):
        assert command in out


def test_help_and_the_list_of_environments_load_nothing_heavy() -> None:
    script = (
        "import sys\nfrom palestra.services.cli.main import run\nrun(['--help'])\nrun(['env', 'list'])\n"
        "print({'torch', 'ray', 'sqlalchemy', 'fastapi', 'docker'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_env_list_reports_a_broken_plugin_by_name_and_shows_the_rest(cli: Run, plugins: Path) -> None:
    found = {one["id"]: one for one in data(cli("env", "list", "--json"))}
    assert {"travel-mini", "bugfix", "search-mini", "lights", "shattered"} <= set(found)
    assert found["travel-mini"]["ok"]
    assert found["lights"]["ok"]
    assert not found["shattered"]["ok"]
    assert "RuntimeError: no luck today" in found["shattered"]["error"]
    assert "shattered" in cli("env", "list")[1]
    assert "no luck today" in refused(cli("rollout", "shattered"))


def test_env_new_says_what_to_do_next(cli: Run, tmp_path: Path) -> None:
    code, out, _ = cli("env", "new", "fire", "--dir", str(tmp_path))
    assert code == 0
    assert f"pip install -e {tmp_path}/fire && palestra env check fire" in out
    assert "is there already" in refused(cli("env", "new", "fire"))
    assert "cannot name" in refused(cli("env", "new", "Fire"))


def test_env_check_passes_a_good_environment(cli: Run, plugins: Path) -> None:
    result = data(cli("env", "check", "lights", "--count", "3", "--level", "2", "--json"))
    assert result["ok"]
    assert all(check["passed"] == check["of"] for check in result["checks"])
    assert "every check passed" in cli("env", "check", "travel-mini", "--count", "2")[1]


def test_env_check_says_what_to_fix(cli: Run, plugins: Path) -> None:
    code, out, _ = cli("env", "check", "sloppy", "--count", "2")
    assert code == 1
    assert "FAIL noop_fails" in out
    assert "fix:  `verify` rewards no answer" in out
    result = data(cli("env", "check", "broken", "--count", "2", "--json"), code=1)
    assert result["checks"][0]["problems"][0] == "propose raised ZeroDivisionError: division by zero"


def test_synth_keeps_the_same_tasks_whatever_the_parallelism(cli: Run, cluster: None, tmp_path: Path) -> None:
    from palestra.envs.mini.travel import TravelMini
    from palestra.synth.synthesize import synthesize

    result = data(
        cli("synth", "travel-mini", "--count", "12", "--level", "2", "--seed", "7", "--out", "t.jsonl", "--json")
    )
    alone = [made.certified.task.id for made in synthesize(TravelMini, 7, 2, 12) if made.certified and made.accepted]
    assert result["tasks"] == alone
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 12
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        assert store.count(db.Certificate, accepted=True) == 12
        assert store.page(db.Run)[0][0].status == "finished"
    played = data(
        cli(
            "rollout", "travel-mini", "--tasks", "t.jsonl", "--level", "2", "--samples", "1", "--workers", "1", "--json"
        )
    )
    assert (played["done"], played["pass_rate"]["value"]) == (12, 1.0)


def test_synth_makes_no_task_twice(cli: Run, cluster: None, tmp_path: Path) -> None:
    result = data(cli("synth", "few", "--count", "5", "--json"), code=1)
    assert (result["accepted"], result["rejected"]) == (3, 37)
    assert set(result["reasons"]) <= {f"duplicate of {task}" for task in result["tasks"]}
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        assert store.count(db.Task) == store.count(db.Certificate, accepted=True) == 3


def test_synth_says_why_tasks_were_rejected(cli: Run, cluster: None, tmp_path: Path) -> None:
    code, out, err = cli("synth", "broken", "--count", "2")
    assert code == 1
    assert "0 tasks accepted, 28 rejected" in out
    assert "propose raised ZeroDivisionError" in out
    assert "palestra env check broken" in err
    result = data(cli("synth", "sloppy", "--count", "1", "--json"), code=1)
    assert "noop_fails" in next(iter(result["reasons"]))
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        assert store.count(db.Certificate, accepted=False) == result["rejected"]
    assert "no task that can be trusted" in cli("rollout", "broken", "--count", "1")[2].splitlines()[-1]


@pytest.mark.parametrize("command", [("rollout",), ("eval", "-k", "1")])
def test_invalid_episodes_of_a_finished_job_are_told_and_played_again_when_asked(
    cli: Run, cluster: None, tmp_path: Path, command: tuple[str, ...]
) -> None:
    asked = (*command, "travel-mini", "--count", "2", "--samples", "1", "--workers", "1")
    job = data(cli(*asked, "--json"))["job"]
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        broken = store.page(db.Rollout, job_id=job)[0][0]
        store.update(db.Rollout, broken.id, validity="invalid_infra", outcome="engine_failed", reward=None)
    told = data(cli(*asked, "--json"))
    assert (told["already_finished"], told["invalid"], told["pass_rate"]["n"]) == (True, 1, 1)
    assert "1 invalid: the same command with --retry-invalid plays them again" in cli(*asked)[1]
    again = data(cli(*asked, "--retry-invalid", "--json"))
    assert (again["job"], again["already_finished"]) == (job, False)
    assert (again["done"], again["invalid"], again["pass_rate"]["n"]) == (2, 0, 2)
    assert data(cli(*asked, "--retry-invalid", "--json"))["already_finished"]
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        rollouts, _ = store.page(db.Rollout, job_id=job)
        judged, _ = store.page(db.Metric, run_id=job, name="travel-mini/pass@1")
        assert store.count(db.Verdict) == 2
    assert broken.id not in {rollout.id for rollout in rollouts}
    assert len({(rollout.task_id, rollout.sample) for rollout in rollouts}) == len(rollouts) == 2
    assert [one.step for one in judged] == ([0, 1] if command[0] == "eval" else [])


def test_rollout_is_a_job_that_is_shown_when_finished_and_replayed_the_same(
    cli: Run, cluster: None, tmp_path: Path
) -> None:
    asked = ("rollout", "lights", "--policy", "oracle", "--count", "2", "--samples", "2", "--workers", "1")
    first = data(cli(*asked, "--json"))
    assert (first["done"], first["status"], first["already_finished"]) == (4, "finished", False)
    assert first["pass_rate"]["value"] == 1.0
    assert data(cli(*asked, "--json"))["already_finished"]
    assert "was finished before" in cli(*asked)[1]
    again = data(cli(*asked, "--fresh", "--json"))
    assert again["job"] == first["job"] + "-2"
    assert [job["id"] for job in data(cli("job", "list", "--json"))] == [again["job"], first["job"]]
    assert data(cli("job", "show", first["job"], "--json"))["result"]["done"] == 4
    assert "is finished" in refused(cli("job", "cancel", first["job"]))
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        rollout = store.page(db.Rollout)[0][0]
    assert data(cli("replay", rollout.id, "--json")) == {"rollout": rollout.id, "same": True, "differences": []}
    replayed = data(
        cli(
            "rollout",
            "lights",
            "--policy",
            f"replay:{rollout.id}",
            "--count",
            "2",
            "--samples",
            "1",
            "--workers",
            "1",
            "--json",
        )
    )
    assert replayed["done"] == 2
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        store.update(db.Rollout, rollout.id, answer=["moon"])
    code, out, _ = cli("replay", rollout.id)
    assert code == 1
    assert out.startswith('answer differs\n  stored:   ["moon"]')


def test_eval_gives_unbiased_pass_at_k_and_stores_it(cli: Run, cluster: None, tmp_path: Path) -> None:
    asked = ("eval", "lights", "--policy", "oracle", "-k", "1,2", "-n", "3", "--samples", "2", "--workers", "1")
    result = data(cli(*asked, "--json"))
    assert result["pass@1"] == result["pass@2"]
    assert result["pass@1"]["value"] == 1.0
    assert result["pass@1"]["n"] == 3
    assert 0.4 < result["pass@1"]["low"] < 0.5
    assert (
        data(cli("eval", "lights", "--policy", "noop", "-n", "2", "--workers", "1", "--json"))["pass@1"]["value"] == 0.0
    )
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        assert {metric.name for metric in store.page(db.Metric, run_id=result["job"])[0]} >= {
            "lights/pass@1",
            "lights/pass@2_low",
        }
        run_row = store.get(db.Run, result["job"])
        assert run_row is not None
        assert (run_row.status, run_row.kind) == ("finished", "eval")
        assert store.count(db.Rollout, run_id=result["job"]) == 6
        assert store.count(db.Task, split="heldout") == 3
    assert "pass@2" in cli(*asked)[1]


def test_a_checkpoint_plays_and_one_of_another_shape_is_refused(cli: Run, cluster: None, tmp_path: Path) -> None:
    import torch

    from palestra.policy.config import DeepseekV32Config
    from palestra.policy.model import DeepseekV32ForCausalLM
    from palestra.rollout.tokenizer import train_tokenizer

    torch.manual_seed(0)
    tokenizer = train_tokenizer([], 300)
    config = DeepseekV32Config(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        intermediate_size=16,
        moe_intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        q_lora_rank=None,
        kv_lora_rank=8,
        qk_nope_head_dim=8,
        qk_rope_head_dim=4,
        v_head_dim=8,
        index_n_heads=2,
        index_head_dim=8,
        index_topk=8,
        max_position_embeddings=1024,
    )
    folder = tmp_path / "tiny"
    DeepseekV32ForCausalLM(config).save_pretrained(folder)
    assert "tokenizer.json" in refused(cli("rollout", "lights", "--policy", f"palestra:{folder}"))
    tokenizer.save(folder)
    (folder / "palestra.json").write_text('{"show_tools": false, "context": 512}')
    asked = (
        "rollout",
        "lights",
        "--policy",
        f"palestra:{folder}",
        "--count",
        "1",
        "--samples",
        "2",
        "--max-tokens",
        "8",
        "--workers",
        "1",
    )
    result = data(cli(*asked, "--json"))
    assert result["policy"].startswith("palestra:tiny@")
    assert result["validity"] == {"valid": 2}
    assert result["tokens"] > 0
    (folder / "palestra.json").write_text('{"show_tools": 3}')
    assert "palestra.json must be" in refused(cli(*asked))
    (folder / "palestra.json").unlink()
    shape = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(shape | {"hidden_size": 32}))
    assert "shape" in refused(cli(*asked))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("rollout nowhere", "unknown environment 'nowhere'"),
        ("synth travel --level 11", "travel has no level 11: choose 1 to 10"),
        ("synth travel --count -3", "cannot make -3 tasks"),
        ("synth travel --count x", "'--count'"),
        ("synth travel --out nowhere/t.jsonl", "does not exist"),
        ("rollout travel --samples 0", "samples is 0"),
        ("rollout travel --workers -1", "workers is -1"),
        ("rollout travel --top-p 0", "top-p is 0.0"),
        ("rollout travel --temperature nan", "temperature is nan"),
        ("rollout travel --policy genius", "policy 'genius' is not one of oracle"),
        ("rollout travel --policy oracle:x", "is not one of"),
        ("rollout travel --policy openai:localhost", "is not openai:BASE_URL?model=NAME"),
        ("rollout travel --policy openai:http://127.0.0.1:9/v1?model=m", "no server answers"),
        ("rollout travel --policy replay:none", "no rollout 'none'"),
        ("rollout travel --policy palestra:missing", "missing"),
        ("rollout travel --sandbox magic", "unknown sandbox 'magic'"),
        ("rollout travel --tasks missing.jsonl", "missing.jsonl"),
        ("rollout travel --store nonsense", "nonsense"),
        ("rollout travel --store sqlite:///no/such/folder/x.db", "does not exist"),
        ("eval travel -k 0", "needs k >= 1"),
        ("eval travel -k 1,x", "is not numbers"),
        ("eval travel -k 4 --samples 2", "of at least k, not 2"),
        ("env check travel --count 0", "at least 1"),
        ("env check travel --level 0", "no level 0"),
        ("replay none", "no rollout 'none'"),
        ("job show none", "no job 'none'"),
        ("job list --limit 0", "'--limit'"),
        ("images build magic", "unknown image 'magic'"),
        ("sandbox list --sandbox magic", "unknown sandbox 'magic'"),
        ("serve --port 99999", "'--port'"),
        ("synth travel --ray nonsense", "'nonsense' is not HOST:PORT"),
        ("frobnicate", "No such command 'frobnicate'"),
        ("rollout", "Missing argument 'ENV'"),
    ],
)
def test_bad_input_is_one_clear_line(cli: Run, arguments: str, says: str) -> None:
    assert says in refused(cli(*arguments.split()))


def test_a_file_that_holds_no_tasks_is_named_with_its_line(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"env": 3}\n')
    assert "t.jsonl, line 1 is not a task" in refused(cli("rollout", "travel-mini", "--tasks", "t.jsonl"))


def test_a_folder_that_cannot_be_written_is_named_before_the_work(cli: Run) -> None:
    assert "cannot write /proc/t.jsonl" in refused(cli("synth", "travel-mini", "--out", "/proc/t.jsonl"))
    assert "cannot write /proc/lights" in refused(cli("env", "new", "lights", "--dir", "/proc"))
    assert "/proc/x.db" in refused(cli("job", "list", "--store", "sqlite:////proc/x.db"))


def test_no_ray_at_the_address_is_one_line(tmp_path: Path) -> None:
    """In a process of its own: this one is connected already."""
    command = [sys.executable, "-c", "from palestra.services.cli.main import main; main()", "synth", "travel-mini"]
    done = subprocess.run([*command, "--ray", "127.0.0.1:9"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("palestra: no Ray cluster answers at '127.0.0.1:9'")
    assert "Traceback" not in done.stderr


def test_an_environment_with_an_image_needs_a_sandbox(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert "apt-get install" in refused(cli("rollout", "bugfix"))


def test_images_and_leases_can_be_listed(cli: Run) -> None:
    assert {image["name"] for image in data(cli("images", "list", "--json"))} >= {"base", "python"}
    assert data(cli("sandbox", "list", "--sandbox", "process", "--json")) is not None
    assert data(cli("sandbox", "reap", "--sandbox", "process", "--json"))["problems"] == []
    assert "'podman'" in refused(cli("sandbox", "list", "--sandbox", "podman"))


def test_random_numbers_of_the_caller_are_left_alone(cli: Run, plugins: Path) -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    cli("env", "check", "lights", "--count", "1")
    assert random.random() == expected
