"""What the project is installed, built and checked with: files that only a release would try."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from plexbridge.settings_doc import settings_table
from plexbridge.settings_model import SETTINGS
from plexbridge.version import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
COMPOSE = ("compose.yaml", "docker-local.yml")
PYTHONS = ("3.11", "3.12", "3.13")


def text(name: str) -> str:
    """A file of the project's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, object]:
    """The whole of pyproject.toml."""
    return tomllib.loads(text("pyproject.toml"))


def locked(name: str) -> dict[str, Requirement]:
    """The pinned packages of a lock file, by name."""
    pins = re.findall(r"^([a-z0-9].*?) \\$", text(name), flags=re.M)
    return {pin.name: pin for pin in map(Requirement, pins)}


def canonical(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for: of the project itself, or of dependency groups."""
    document = project()
    table = document["dependency-groups"] if groups else document["project"]
    assert isinstance(table, dict)
    names = groups or ("dependencies",)
    return [Requirement(line) for name in names for line in table[name]]


def code_lines(name: str) -> list[str]:
    """The lines of a file without comments and blank lines."""
    lines = (line.split(" #")[0].rstrip() for line in text(name).splitlines())
    return [line for line in lines if line and not line.lstrip().startswith("#")]


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_a_lock_names_no_host_and_no_index(self, name: str) -> None:
        """It holds wherever it is installed from."""
        assert not re.search(r"://|--(extra-)?index|--find-links|^-|/[a-z]+/", text(name), re.M)

    @pytest.mark.parametrize("name", LOCKS)
    def test_every_package_of_a_lock_is_pinned_with_hashes(self, name: str) -> None:
        """One exact version, and at least one SHA-256 right after it."""
        blocks = re.split(r"^(?=[a-z0-9])", text(name), flags=re.M)[1:]
        assert len(blocks) == len(locked(name)) > 3
        for block in blocks:
            pin, first, *_ = block.splitlines()
            assert re.fullmatch(r"[a-z0-9.-]+==[^ ;]+( ; .*)? \\", pin)
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", first)

    @pytest.mark.parametrize("python", PYTHONS)
    @pytest.mark.parametrize(
        ("name", "groups"),
        [
            ("requirements.lock", ()),
            ("requirements-build.lock", ("build",)),
            ("requirements-dev.lock", ("build", "dev")),
            ("requirements-dev.lock", ()),
        ],
    )
    def test_a_lock_fits_what_the_project_asks_for(
        self, name: str, groups: tuple[str, ...], python: str
    ) -> None:
        """A dependency changed in pyproject.toml is locked again (`make lock`)."""
        environment = {key: str(value) for key, value in default_environment().items()}
        environment |= {"python_version": python, "python_full_version": f"{python}.0"}
        pins = locked(name)
        for requirement in wanted(*groups):
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            pin = pins[canonical(requirement.name)]
            (exact,) = pin.specifier
            assert pin.marker is None or pin.marker.evaluate(environment)
            assert requirement.specifier.contains(exact.version), requirement.name

    def test_no_two_locks_disagree(self) -> None:
        """They are installed into one environment."""
        run, build, dev = (locked(name) for name in LOCKS)
        for pins in (run, build):
            assert {name: str(pins[name]) for name in pins} == {
                name: str(dev[name]) for name in pins
            }


class TestProject:
    def test_the_version_is_said_once(self) -> None:
        """In plexbridge/version.py; the installed package and the changelog agree."""
        assert metadata.version("plexbridge") == __version__
        assert f"## [{__version__}]" in text("CHANGELOG.md")
        assert f"plexbridge:{__version__}" in text("compose.yaml")

    def test_the_licence_is_mit(self) -> None:
        """In the file and in the package's own words."""
        assert text("LICENSE").startswith("MIT License\n\nCopyright (c) 2026 PlexBridge contr")
        assert metadata.metadata("plexbridge")["License-Expression"] == "MIT"

    def test_the_settings_table_of_the_readme_is_the_settings(self) -> None:
        """`python -m plexbridge.settings_doc` prints the table between the two marks."""
        _, _, rest = text("README.md").partition("<!-- settings:begin -->\n")
        assert rest.partition("<!-- settings:end -->")[0] == settings_table()

    def test_a_wheel_holds_all_three_packages_and_every_file_of_theirs(
        self, tmp_path: Path
    ) -> None:
        """Pages and clips too; without them `pip install .` would give a broken command."""
        build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        subprocess.run(
            [*build, "--wheel-dir", str(tmp_path), str(ROOT)],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        (wheel,) = tmp_path.glob("plexbridge-*.whl")
        held = set(zipfile.ZipFile(wheel).namelist())
        for package in ("events", "projections", "plexbridge"):
            files = {
                path.relative_to(ROOT).as_posix()
                for path in (ROOT / package).rglob("*")
                if path.is_file() and "__pycache__" not in path.parts
            }
            assert files <= held, files - held


class TestImage:
    def test_what_is_installed_is_locked(self) -> None:
        """Every pip that fetches checks hashes; the project itself brings no dependencies."""
        for line in text("Dockerfile").replace("\\\n", "").splitlines():
            for call in re.findall(r"-m pip (?:install|wheel)[^&]*", line):
                assert "--require-hashes" in call or "--no-deps" in call

    def test_the_build_stays_out_of_the_image(self) -> None:
        """Two stages of one Python; the compiler is in the first alone."""
        stages = text("Dockerfile").split("\nFROM ")[1:]
        assert [stage.split()[0] for stage in stages] == ["python:3.13-slim"] * 2
        assert "gcc" in stages[0]
        assert "gcc" not in stages[1]
        assert "pip install" not in stages[1]

    def test_it_runs_as_nobody_in_particular_under_an_init(self) -> None:
        """Not root; signals passed on; data in /config, which any `--user` may write."""
        lines = code_lines("Dockerfile")
        for line in (
            "USER plexbridge",
            "VOLUME /config",
            "EXPOSE 3000",
            'ENTRYPOINT ["tini", "--", "plexbridge"]',
            'CMD ["serve"]',
            '    CMD ["plexbridge", "healthcheck"]',
        ):
            assert line in lines
        assert lines.index("USER plexbridge") > max(
            index for index, line in enumerate(lines) if line.startswith("RUN ")
        )
        assert "PLEXBRIDGE_DATA_DIR=/config" in text("Dockerfile")
        assert "chmod 1777 /config" in text("Dockerfile")

    def test_everything_copied_is_let_through_to_the_build(self) -> None:
        """.dockerignore shuts everything out but what the Dockerfile copies."""
        ignore = code_lines(".dockerignore")
        assert ignore[0] == "*"
        copied = {
            name
            for line in code_lines("Dockerfile")
            if line.startswith("COPY ") and "--from" not in line
            for name in line.split()[1:-1]
        }
        assert copied == {line[1:].rstrip("/") for line in ignore if line.startswith("!")}
        assert all((ROOT / name).exists() for name in copied)

    @pytest.mark.parametrize("name", COMPOSE)
    def test_a_container_may_do_no_more_than_it_must(self, name: str) -> None:
        """Read-only, no capabilities, no new privileges; time to drain before it is killed."""
        lines = [line.strip() for line in code_lines(name)]
        for line in ("read_only: true", "- no-new-privileges:true", "- /tmp", "build: ."):
            assert line in lines
        assert lines[lines.index("cap_drop:") + 1] == "- ALL"
        assert "stop_grace_period: 15s" in lines
        assert not {"privileged: true", "user: root"} & set(lines)

    @pytest.mark.parametrize("name", COMPOSE)
    def test_compose_files_keep_to_what_yaml_is_sure_of(self, name: str) -> None:
        """Spaces only, two to a level, `key:` or `- item` on each line, no key twice in a level."""
        seen: dict[int, set[str]] = {}
        for line in code_lines(name):
            indent = len(line) - len(line.lstrip(" "))
            assert "\t" not in line
            assert indent % 2 == 0
            assert re.fullmatch(r" *(- .+|[A-Za-z_]+:( .+)?)", line), line
            for deeper in [level for level in seen if level > indent]:
                del seen[deeper]
            key = line.strip() if line.strip().startswith("-") else line.strip().split(":")[0]
            assert key not in seen.setdefault(indent, set())
            seen[indent].add(key)

    @pytest.mark.parametrize("name", COMPOSE)
    def test_every_variable_a_compose_file_sets_is_a_setting(self, name: str) -> None:
        """A documented variable is read, or absent."""
        named = set(re.findall(r"^[ #]+([A-Z][A-Z_]+): ", text(name), re.M))
        assert named
        assert named <= SETTINGS.keys()

    def test_the_local_test_runs_the_demo(self) -> None:
        """And says its three steps."""
        assert '    command: ["serve", "--demo"]' in code_lines("docker-local.yml")
        for step in ("streams/preview/1 in VLC", "2. Stop VLC", "3. The session is gone"):
            assert step in text("docker-local.yml")


class TestMake:
    @pytest.mark.parametrize(
        "target", ["run", "test", "test-long", "lint", "bench", "lock", "clean", "help"]
    )
    def test_every_target_is_there_and_stands_in_the_help(self, target: str) -> None:
        """`make` alone prints them."""
        shown = subprocess.run(
            ["make", "--silent", "--directory", str(ROOT)],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
            env={"PATH": os.environ["PATH"]},
        )
        assert re.search(rf"^make {target} +\S", shown.stdout, re.M)

    def test_make_installs_only_with_hashes(self) -> None:
        """Apart from the project itself, which brings no dependencies, and uv to lock with."""
        for line in text("Makefile").splitlines():
            if line.startswith("\t@$(PIP)"):
                assert "--no-deps --no-build-isolation" in line
        assert "--require-hashes" in text("Makefile")

    def test_ci_demands_its_tools_and_gives_up_without_one(self) -> None:
        """Shell that parses, strict, without input; a missing tool is a failure there."""
        script = ROOT / ".ci" / "run"
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", str(script)], check=True, timeout=20)
        lines = code_lines(".ci/run")
        assert lines[0] == "set -euo pipefail"
        assert "export PLEXBRIDGE_TEST_TOOLS=required" in lines
        assert lines[-1] == "exec make test </dev/null"
