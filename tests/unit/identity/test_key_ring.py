import os
import stat
import subprocess
import sys

import pytest

from freehold.identity import KeyRing, KeysUnavailable, SigningKey
from freehold.model.errors import ConfigurationError


def kids(ring):
    return [key["kid"] for key in ring.jwks()["keys"]]


def test_opening_makes_a_key_once_that_only_the_owner_may_read(tmp_path):
    path = tmp_path / "keys" / "auth.pem"
    first = KeyRing.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.open(path, "RS256").active.kid == first.active.kid
    assert not [name for name in os.listdir(path.parent) if name.startswith(".auth.pem.") and name != ".auth.pem.lock"]


def test_processes_that_start_at_once_end_with_one_key(tmp_path):
    program = (
        "import sys; from freehold.identity import KeyRing\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for each in sys.argv[1:]: print(KeyRing.open(each).active.kid)"
    )
    paths = [str(tmp_path / f"{number}.pem") for number in range(20)]
    command = [sys.executable, "-c", program, *paths]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert len(answers[0]) == 20
    assert answers[0] == answers[1] == answers[2]


def test_a_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "auth.pem"
    KeyRing.open(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"mode 0640.*chmod 600"):
        KeyRing.open(path)


def test_a_damaged_file_is_refused_and_kept(tmp_path):
    path = tmp_path / "auth.pem"
    path.touch(0o600)
    with pytest.raises(ConfigurationError, match=r"auth\.pem: holds 0 private keys"):
        KeyRing.open(path)
    assert path.read_text() == ""


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be made"):
        KeyRing.open(tmp_path / "file" / "auth.pem")


def test_rotation_keeps_the_old_key_until_its_tokens_are_gone(clock):
    ring = KeyRing.generate(clock=clock)
    old = ring.active.kid
    new = ring.rotate(keep=900)
    assert ring.active is new
    assert new.kid != old
    assert kids(ring) == [new.kid, old]
    clock.advance(899.999)
    assert ring.find(old).kid == old
    clock.advance(0.001)
    assert ring.find(old) is None
    assert kids(ring) == [new.kid]
    assert ring.find(new.kid) is new.public


def test_rotation_can_change_the_algorithm(clock):
    ring = KeyRing.generate(clock=clock)
    assert ring.rotate(keep=60, algorithm="RS256").algorithm == "RS256"
    assert ring.rotate(keep=60).algorithm == "RS256"
    assert [key["alg"] for key in ring.jwks()["keys"]] == ["RS256", "RS256", "EdDSA"]


async def test_rotation_reaches_the_other_processes_of_the_file(tmp_path, clock):
    path = tmp_path / "auth.pem"
    here, there = KeyRing.open(path, clock=clock), KeyRing.open(path, clock=clock)
    old = here.active.kid
    new = here.rotate(keep=900)
    assert there.active.kid == old
    await there.refresh()
    assert there.active.kid == new.kid
    assert there.find(old).kid == old
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_rotations_from_different_processes_lose_no_key(tmp_path, clock):
    path = tmp_path / "auth.pem"
    here, there = KeyRing.open(path, clock=clock), KeyRing.open(path, clock=clock)
    first = here.active.kid
    second = here.rotate(keep=900).kid
    third = there.rotate(keep=900).kid
    assert kids(KeyRing.open(path, clock=clock)) == [third, second, first]


def test_rotation_drops_what_is_over(tmp_path, clock):
    path = tmp_path / "auth.pem"
    ring = KeyRing.open(path, clock=clock)
    ring.rotate(keep=60)
    clock.advance(60)
    second = ring.active.kid
    third = ring.rotate(keep=60).kid
    assert kids(ring) == [third, second]
    assert path.read_text().count("PUBLIC KEY") == 2  # one block: BEGIN and END


def test_the_text_of_a_ring_makes_the_same_ring(clock):
    ring = KeyRing.generate(clock=clock)
    ring.rotate(keep=900)
    again = KeyRing.from_pem(ring.to_pem(), clock=clock)
    assert again.jwks() == ring.jwks()
    clock.advance(900)
    assert kids(again) == [ring.active.kid]


def test_a_public_key_without_a_time_is_kept(clock):
    old, new = SigningKey.generate(), SigningKey.generate("RS256")
    ring = KeyRing.from_pem(new.to_pem() + "\nthe old one\n" + old.public.to_pem(), clock=clock)
    clock.advance(10**9)
    assert kids(ring) == [new.kid, old.kid]


def test_a_ring_from_the_environment(monkeypatch):
    key = SigningKey.generate()
    monkeypatch.setenv("AUTH_KEY", key.to_pem().replace("\n", "\\n"))
    assert KeyRing.from_environment("AUTH_KEY").active.kid == key.kid
    monkeypatch.setenv("AUTH_KEY", key.to_pem().replace("\n", "\r\n"))
    assert KeyRing.from_environment("AUTH_KEY").active.kid == key.kid


def test_a_missing_or_wrong_environment_variable_is_named(monkeypatch):
    monkeypatch.delenv("AUTH_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="AUTH_KEY: is not set"):
        KeyRing.from_environment("AUTH_KEY")
    monkeypatch.setenv("AUTH_KEY", "s3cret")
    with pytest.raises(ConfigurationError, match="AUTH_KEY: holds 0 private keys") as caught:
        KeyRing.from_environment("AUTH_KEY")
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("AUTH_KEY", SigningKey.generate().to_pem() * 2)
    with pytest.raises(ConfigurationError, match="holds 2 private keys"):
        KeyRing.from_environment("AUTH_KEY")


@pytest.mark.parametrize("text", ["soon", "2030-01-01T00:00:00"])
def test_a_wrong_time_is_named(text):
    key = SigningKey.generate()
    with pytest.raises(ConfigurationError, match=f"keep-until '{text}'"):
        KeyRing.from_pem(f"{key.to_pem()}keep-until {text}\n{key.public.to_pem()}")


async def test_a_file_that_went_away_is_reported_and_the_keys_stay(tmp_path):
    path = tmp_path / "auth.pem"
    ring = KeyRing.open(path)
    os.unlink(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ring.reload()
    with pytest.raises(KeysUnavailable, match="cannot be read"):
        await ring.refresh()
    assert ring.find(ring.active.kid) is ring.active.public
