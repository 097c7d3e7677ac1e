"""The pages: what they show, what they do with hostile text, and how they look in a real browser."""

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from palestra.infra.store import (
    Certificate,
    Job,
    Policy,
    Rollout,
    Run,
    Store,
    Task,
    Turn,
    Verdict,
    pack_f32,
    pack_i32,
)
from palestra.services.serve import create_site, serve
from palestra.services.web.charts import Point, Series, curves, thin, ticks
from palestra.services.web.text import duration, number, visible
from palestra.services.web.tokens import SHADES, shade_of

START = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m\x00 \u202eevil\u2066 \"'`"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)

PROMPTS = {
    "travel": "Plan three days from Lindau through Arben and Tessel. Sleep in a hotel with a rating of at least 4.0 "
    "each night, spend no more than 640 in all, and visit at least one museum that is open on Sunday.\n"
    "Answer with one line per day: city, hotel, attractions.",
    "bugfix": "test_median_of_even_count fails: median([1, 2, 3, 4]) gives 3 where 2.5 is expected. Odd counts are "
    "right. Find the mistake in the package `stats` and mend it.",
    "search": "In which year was the school founded at which the architect of the bridge over the river Ovel studied?",
}
EPISODES: dict[str, list[tuple[str, str, list[dict[str, Any]], list[dict[str, Any]]]]] = {
    "travel": [
        (
            "I need hotels in Arben with a rating of 4.0 or more. The budget is 640, so about 210 a night at most.",
            "",
            [{"name": "find_hotels", "arguments": {"city": "Arben", "min_rating": 4.0}}],
            [
                {
                    "name": "find_hotels",
                    "content": "Hotel Linde  4.3  118/night\nAm Markt      4.1  164/night",
                    "ok": True,
                }
            ],
        ),
        (
            "Hotel Linde is cheaper. Now the museums of Tessel; the third day is a Sunday.",
            "",
            [
                {"name": "find_attractions", "arguments": {"city": "Tessel", "kind": "museum"}},
                {"name": "opening_hours", "arguments": {"place": "Salt Museum"}},
            ],
            [
                {"name": "find_attractions", "content": "Salt Museum; Weaving Hall", "ok": True},
                {"name": "opening_hours", "content": "no place 'Salt Museum' in Arben", "ok": False},
            ],
        ),
        (
            "Enough is known.",
            "Day 1: Lindau, Hotel Linde\nDay 2: Arben, Hotel Linde\nDay 3: Tessel, Salt Museum",
            [],
            [],
        ),
    ],
    "bugfix": [
        (
            "The even case should average the two middle values. Let me read the function.",
            "",
            [{"name": "read", "arguments": {"path": "stats/middle.py"}}],
            [
                {
                    "name": "read",
                    "content": "def median(xs):\n    xs = sorted(xs)\n    return xs[len(xs) // 2]",
                    "ok": True,
                }
            ],
        ),
        ("It never averages.", "Mended in stats/middle.py.", [], []),
    ],
    "search": [
        (
            "First the bridge over the Ovel, then its architect.",
            "",
            [{"name": "search", "arguments": {"query": "bridge over the river Ovel"}}],
            [{"name": "search", "content": "Ovel Bridge: designed by Mara Teller, opened 1931.", "ok": True}],
        ),
        ("She studied at the Technical School of Brand, founded 1868.", "1868", [], []),
    ],
}
PARTS = {
    "travel": [
        {"name": "every place exists", "score": 1.0, "weight": 1.0, "gate": True, "detail": "4 of 4 places"},
        {"name": "hotel rating at least 4.0", "score": 1.0, "weight": 1.0, "gate": False, "detail": "Hotel Linde 4.3"},
        {"name": "budget 640", "score": 0.0, "weight": 2.0, "gate": False, "detail": "spent 702, 62 too much"},
        {"name": "museum open on Sunday", "score": 0.5, "weight": 1.0, "gate": False, "detail": "open from 14:00"},
    ],
    "bugfix": [{"name": "tests that must pass now", "score": 1.0, "weight": 1.0, "gate": True, "detail": "3 of 3"}],
    "search": [{"name": "answer", "score": 1.0, "weight": 1.0, "gate": False, "detail": "1868 is the key"}],
}


def tokenizer_in(folder: Path) -> Tokenizer:
    """A byte-level tokeniser without merges, saved as tokenizer.json."""
    vocabulary = {piece: index for index, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def add_rollout(store: Store, tokenizer: Tokenizer, env: str, sample: int, reward: float | None, at: datetime) -> None:
    """A rollout with its turns, tokens and verdict."""
    id = f"{env}-rollout-{sample}"
    tokens: list[int] = []
    mask: list[int] = []
    turns = []
    for index, (thinking, content, calls, results) in enumerate(EPISODES[env]):
        rendered = tokenizer.encode(f"<|user|>{PROMPTS[env]}" if index == 0 else "\n<|tool|>ok\n").ids
        sampled = tokenizer.encode(f"<think>{thinking}</think>{content}").ids
        tokens += rendered + sampled
        mask += [0] * len(rendered) + [1] * len(sampled)
        turns.append(
            Turn(
                rollout_id=id,
                index=index,
                thinking=thinking,
                content=content,
                tool_calls=calls,
                results=results,
                finish="tool_calls" if calls else "stop",
                prompt_tokens=pack_i32(rendered),
                completion_tokens=pack_i32(sampled),
                seconds=0.4 + index,
            )
        )
    logprobs = [-0.002 - ((place * 37 + sample) % 97) ** 3 / 400_000 for place in range(len(tokens))]
    broken = reward is None
    rollout = Rollout(
        id=id,
        job_id="job-travel-7",
        run_id="run-quickstart-2f81",
        task_id=f"task-{env}-0",
        sample=sample,
        policy_id="policy-step-40",
        outcome="sandbox_failed" if broken else "answered",
        validity="invalid_infra" if broken else "valid",
        reward=reward,
        answer=EPISODES[env][-1][1],
        error="SandboxError: the engine did not answer within 30 s" if broken else None,
        turns_count=len(turns),
        tokens_count=len(tokens),
        seconds=2.31,
        tokens=pack_i32(tokens),
        mask=pack_i32(mask),
        logprobs=pack_f32(logprobs),
        created_at=at,
    )
    parts = [part | {"score": 1.0, "detail": ""} for part in PARTS[env]] if reward == 1.0 else PARTS[env]
    verdict = Verdict(rollout_id=id, verifier_version="3", reward=reward, parts=parts, created_at=at)
    assert store.add_once(rollout, *turns, verdict)


def seed(store: Store, folder: Path) -> None:
    """What a quickstart leaves behind, small: three domains, a run with curves, a job, policies, rollouts."""
    tokenizer = tokenizer_in(folder / "checkpoint")
    (folder / "learning.png").write_bytes(PNG)
    config = {"seed": 7, "out": str(folder), "plot": "learning.png", "grpo": {"group": 8, "lr": 3e-4, "delta": 0.05}}
    took = timedelta(minutes=8, seconds=41)
    store.add(
        Run(
            id="run-quickstart-2f81",
            kind="quickstart",
            config=config,
            status="finished",
            started_at=START,
            finished_at=START + took,
            note="cold start from the shipped checkpoint, then 40 updates",
        ),
        Job(id="job-travel-7", kind="rollout", spec={"env": "travel"}, status="running", total=64, done=41),
        Policy(id="policy-cold", kind="palestra", uri=str(folder / "checkpoint"), note="cold start"),
        Policy(id="policy-step-40", kind="palestra", uri=str(folder / "checkpoint"), parent_id="policy-cold", step=40),
    )
    for at, (env, prompt) in enumerate(PROMPTS.items()):
        for index in range(12):
            id, rejected = f"task-{env}-{index}", index % 5 == 4
            checks = [
                {"name": "oracle passes", "ok": True, "detail": "reward 1.00 in 4 calls"},
                {"name": "no-op fails", "ok": True, "detail": "reward 0.00"},
                {"name": "mutants fail", "ok": not rejected, "detail": "2 of 3 fail" if rejected else "3 of 3 fail"},
                {"name": "same verdict twice", "ok": True, "detail": "identical"},
            ]
            reasons = ["a wrong answer passes: the second cheapest hotel"] if rejected else []
            store.add(
                Task(
                    id=id,
                    env=env,
                    version="1",
                    seed=7 + index,
                    level=1 + index % 3,
                    split="heldout" if index % 3 == 2 else "train",
                    prompt=prompt,
                    world={"cities": ["Lindau"]},
                    key={"secret": "the hidden key"},
                    run_id="run-quickstart-2f81",
                    created_at=START + timedelta(seconds=at * 20 + index),
                ),
                Certificate(task_id=id, accepted=not rejected, checks=checks, reasons=reasons, seconds=0.031),
            )
        for sample in range(6):
            reward = None if sample == 3 else (1.0, 0.4, 0.0, 0.0, 1.0, 0.625)[sample]
            add_rollout(store, tokenizer, env, sample, reward, START + timedelta(minutes=3, seconds=sample))
    for step in range(41):
        wobble = ((step * 29) % 11 - 5) / 90
        values = {f"train/{env}/reward": min(1, 0.3 + 0.015 * step + wobble + k / 20) for k, env in enumerate(PROMPTS)}
        values |= {"train/entropy": 1.4 / (1 + step / 12), "train/kl": 0.002 * step + abs(wobble) / 10}
        values |= {"train/tokens_per_second": 5200 + 900 * wobble, "train/loss": 0.4 - 0.006 * step + wobble}
        if step % 8 == 0:
            for k, env in enumerate(PROMPTS):
                share = min(0.97, 0.36 + k * 0.07 + 0.013 * step)
                values |= {f"eval/{env}/pass@1": share}
                values |= {f"eval/{env}/pass@1_low": share - 0.08, f"eval/{env}/pass@1_high": min(1, share + 0.07)}
        store.log_metrics("run-quickstart-2f81", step, values)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the demo store; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("demo")
    with Store(f"sqlite:///{folder}/demo.db") as store:
        seed(store, folder)
    return folder / "demo.db"


@pytest.fixture
def site(demo: Path, tmp_path: Path) -> FastAPI:
    """The whole site over the demo store."""
    shutil.copy(demo, tmp_path / "demo.db")
    return create_site(f"sqlite:///{tmp_path}/demo.db")


@pytest.fixture
def client(site: FastAPI) -> Iterator[TestClient]:
    with TestClient(site, headers=BROWSER) as client:
        yield client


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_site(f"sqlite:///{tmp_path}/empty.db"), headers=BROWSER) as client:
        yield client


def page(client: TestClient, path: str, status: int = 200) -> str:
    """The HTML at a path; every page forbids what comes from elsewhere."""
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", answer.text)
    return answer.text


def test_overview_sums_up_every_environment(client: TestClient) -> None:
    text = page(client, "/")
    for env in PROMPTS:
        assert f'<a href="/tasks?env={env}">{env}</a>' in text
    assert "Held-out pass@k" in text
    assert 'class="band c0"' in text
    assert "41 / 64" in text


def test_run_shows_curves_config_and_plot(client: TestClient) -> None:
    text = page(client, "/runs/run-quickstart-2f81")
    assert text.count('<svg class="chart"') == 6
    assert "eval/search/pass@1 <b>97 %</b>" in text
    assert "pass@1_low" not in text
    assert "&#34;delta&#34;: 0.05" in text
    assert 'src="/plots/run-quickstart-2f81"' in text
    assert client.get("/plots/run-quickstart-2f81").content == PNG


@pytest.mark.parametrize("plot", ["../secret.png", "/etc/hostname", "missing.png", "learning.txt", "a\0.png", 7])
def test_plot_outside_the_run_folder_is_not_served(
    site: FastAPI, client: TestClient, tmp_path: Path, plot: Any
) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    site.state.store.add(Run(id="sly", kind="train", config={"out": str(tmp_path / "out"), "plot": plot}))
    assert client.get("/plots/sly").status_code == 404
    page(client, "/runs/sly")


def test_task_shows_its_certificate_and_not_its_key(client: TestClient) -> None:
    text = page(client, "/tasks/task-travel-4")
    assert "✗ fail" in text
    assert "the second cheapest hotel" in text
    assert "the hidden key" not in text
    assert "rejected" in page(client, "/certificates?verdict=rejected&env=travel")


def test_rollout_shows_turns_verdict_and_tokens(client: TestClient) -> None:
    text = page(client, "/rollouts/travel-rollout-1")
    assert "Hotel Linde is cheaper." in text
    assert "<b>find_attractions</b>" in text
    assert "<dt>min_rating</dt><dd>4.0</dd>" in text
    assert "Failed result" in text
    assert "spent 702, 62 too much" in text
    assert 'class="tok rendered" title="token' in text
    assert re.search(r'class="tok s[1-6]" title="token \d+, sampled, p = 0\.\d+', text)
    assert "Other rollouts of this task" in text


def test_rollout_without_tokeniser_shows_ids(site: FastAPI, client: TestClient) -> None:
    row = Rollout(id="plain", task_id="gone", policy_id="openai:x", outcome="answered", tokens_count=3)
    row.tokens, row.mask, row.logprobs = pack_i32([7, 8, 9]), pack_i32([0, 1, 1]), pack_f32([-0.1, float("nan")])
    site.state.store.add(row)
    text = page(client, "/rollouts/plain")
    assert "token ids" in text
    assert ">8</span>" in text
    assert "No verdict is recorded." in text


def test_lists_page_through_everything_once(client: TestClient) -> None:
    seen: list[str] = []
    path: str | None = "/rollouts?env=travel"
    while path is not None:
        text = page(client, path)
        seen += re.findall(r'href="/rollouts/(travel-rollout-\d)"', text)
        older = re.search(r'<a href="([^"]+)" rel="next">', text)
        path = older[1].replace("&amp;", "&") if older else None
    assert seen == [f"travel-rollout-{sample}" for sample in reversed(range(6))]
    first = page(client, "/metrics?run_id=run-quickstart-2f81&name=train/kl")
    assert first.count("name=train/kl") == 41
    older = re.search(r'<a href="([^"]+)" rel="next">', page(client, "/metrics"))
    assert older is not None
    assert "← Newest" in page(client, older[1].replace("&amp;", "&"))


@pytest.mark.parametrize("path", ["/", "/runs", "/tasks", "/certificates", "/rollouts", "/metrics"])
def test_empty_pages_tell_what_fills_them(bare: TestClient, path: str) -> None:
    assert re.search(r"<code>palestra \w+", page(bare, path))


def test_a_filter_that_matches_nothing_says_so(client: TestClient) -> None:
    assert "No rollouts match" in page(client, "/rollouts?outcome=nothing")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/none", 404),
        ("/nowhere", 404),
        ("/tasks?after=x", 422),
        ("/rollouts/%3Cscript%3E", 404),
        ("/plots/x", 404),
    ],
)
def test_errors_are_pages(client: TestClient, path: str, status: int) -> None:
    assert "<script" not in page(client, path, status)


def test_hostile_text_is_shown_not_obeyed(site: FastAPI, client: TestClient) -> None:
    add_hostile(site.state.store)
    paths = ["/", "/runs", "/tasks", "/certificates", "/rollouts", "/metrics", "/metrics?run_id=" + "evil%3Cb%3E"]
    for path in [*paths, "/rollouts/evil", "/tasks/evil", "/runs/evil%3Cb%3E", "/rollouts/odd"]:
        text = page(client, path)
        assert "<script" not in text
        assert "onerror=alert(1)>" not in text
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    assert "␛[31m␀ &lt;U+202E&gt;evil" in page(client, "/rollouts/evil")


def add_hostile(store: Store) -> None:
    """Rows full of markup, control characters, and shapes that nobody expects."""
    call = {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}
    store.add(
        Run(id="evil<b>", kind=HOSTILE, status=HOSTILE, note=HOSTILE, config={HOSTILE: HOSTILE}),
        Task(id="evil", env=HOSTILE, version=HOSTILE, seed=1, split=HOSTILE, prompt=HOSTILE),
        Certificate(task_id="evil", accepted=False, checks=[{"name": HOSTILE, "ok": 0}, HOSTILE], reasons=[HOSTILE]),
    )
    for id, calls, results in [
        ("evil", [call], [{"content": HOSTILE}]),
        (
            "odd",
            [None, 3, {"function": {"name": "f", "arguments": HOSTILE}}, {"arguments": "[1"}],
            [None, 7, [HOSTILE], {}],
        ),
    ]:
        row = Rollout(id=id, task_id="evil", policy_id=HOSTILE, outcome=HOSTILE, answer=HOSTILE, error=HOSTILE)
        turn = Turn(rollout_id=id, index=0, thinking=HOSTILE, content=HOSTILE, tool_calls=calls, results=results)
        parts = [{"name": HOSTILE, "score": "high", "weight": None, "detail": {"a": HOSTILE}}, HOSTILE, {}]
        store.add(row, turn, Verdict(rollout_id=id, reward=None, parts=parts, note=HOSTILE))
    store.log_metrics("evil<b>", 0, {HOSTILE: 1.0, f"{HOSTILE}pass@1": 0.5})


def test_a_store_that_goes_away_is_an_error_page(site: FastAPI, client: TestClient, tmp_path: Path) -> None:
    site.state.store.close()
    for path in tmp_path.glob("demo.db*"):
        path.unlink()
    (tmp_path / "demo.db").mkdir()
    assert "cannot be opened" in page(client, "/rollouts", 503)
    assert client.get("/api/v1/rollouts").headers["content-type"] == "application/problem+json"


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*--port"):
            serve(f"sqlite:///{tmp_path}/x.db", "127.0.0.1", port)


def test_curves_survive_any_numbers() -> None:
    assert curves("nothing", []) == ""
    for values in ([0.0], [5.0, 5.0], [-3e9, 4e9], [1e-12, 2e-12], [float(n) for n in range(2000)]):
        drawn = curves("x", [Series("a", tuple(Point(step, y, y - 1, y + 1) for step, y in enumerate(values)))])
        assert "nan" not in drawn
        assert drawn.count(",") < 3000
    assert [point.x for point in thin([Point(x, 0) for x in range(1000)], 3)] == [0, 500, 999]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_small_texts() -> None:
    assert visible("a\r\nb\x07\x7f\x85") == "a\nb␇␡<U+0085>"
    assert (number(None), number(0.5), number(12345), number(float("nan"))) == ("–", "0.5", "12,345", "–")
    assert (duration(0.012), duration(75), duration(7380)) == ("12 ms", "1 min 15 s", "2 h 03 min")
    assert [shade_of(p) for p in (0.0, -0.02, -100.0)] == [0, 1, SHADES - 1]


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The app behind a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.browser
def test_in_a_real_browser(site: FastAPI, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium: apt-get install chromium")
        pytest.skip("no chromium: apt-get install chromium")
    complaints: list[str] = []
    requests: list[str] = []
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with running(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*flags.split(), "--disable-component-update", "--disable-sync"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append("dialog"))
        tab.on("request", lambda request: requests.append(request.url))

        tab.goto(address + "/")
        tab.screenshot(path=tmp_path / "overview.png", full_page=True)
        tab.get_by_role("navigation", name="Main").get_by_role("link", name="Rollouts").click()
        tab.get_by_label("env").select_option("travel")
        tab.get_by_role("button", name="Filter").click()
        assert tab.locator("tbody tr").count() == 6
        tab.screenshot(path=tmp_path / "rollouts.png", full_page=True)
        tab.get_by_role("link", name="travel-rollo…").last.click()
        assert tab.get_by_role("heading", name="Turn 3").is_visible()
        assert tab.locator(".tok.rendered").first.is_visible()
        tab.screenshot(path=tmp_path / "rollout.png", full_page=True)
        add_hostile(site.state.store)
        for name, path in {
            "run": "/runs/run-quickstart-2f81",
            "task": "/tasks/task-travel-4",
            "certificates": "/certificates",
            "evil": "/rollouts/evil",
            "evil-overview": "/",
        }.items():
            tab.goto(address + path)
            assert "owned" not in tab.title()
            wider = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{path} scrolls sideways by {wider} px"
            tab.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        tab.emulate_media(color_scheme="dark")
        tab.goto(address + "/rollouts/travel-rollout-5")
        tab.screenshot(path=tmp_path / "rollout-dark.png", full_page=True)
        tab.set_viewport_size({"width": 390, "height": 800})
        tab.goto(address + "/")
        wider = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"on a phone the overview scrolls sideways by {wider} px"
        tab.screenshot(path=tmp_path / "overview-phone.png", full_page=True)
        browser.close()
    assert complaints == []
    assert all(url.startswith(address) for url in requests)
    print(f"screenshots: {tmp_path}")
