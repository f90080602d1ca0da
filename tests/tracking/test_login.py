import subprocess
import sys

from project.tracking.login import logged_in, resolved


def test_without_credentials_a_run_is_offline():
    assert not logged_in()
    assert resolved("auto") == "offline"


def test_with_an_api_key_a_run_is_online(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert resolved("auto") == "online"


def test_what_wandb_login_leaves_behind_is_a_log_in(tmp_path):
    logging_in = "import wandb; wandb.login(key='x' * 40, verify=False)"
    subprocess.run([sys.executable, "-c", logging_in], check=True)  # a process remembers it
    assert (tmp_path / "netrc").is_file()
    assert resolved("auto") == "online"


def test_a_log_in_counts_for_its_own_server_only(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert resolved("auto") == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert resolved("auto") == "offline"


def test_a_netrc_file_that_cannot_be_read_is_no_log_in(tmp_path):
    (tmp_path / "netrc").write_text("machine\n")
    assert not logged_in()


def test_the_environment_decides_for_auto_alone(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert resolved("auto") == "disabled"
    assert resolved("offline") == "offline"
