"""The Dockerfile of the image that all parts of a system run."""

from __future__ import annotations

from freehold.operate.plan import DATA, OBJECTS, Plan

USER = 10001
IGNORED = """\
.env
.freehold
.git
.venv
**/__pycache__
"""
"""What must not get into the image: above all the secrets."""


def dockerfile(plan: Plan, *, version: str) -> str:
    """Its text, for the folder that holds the system and, if there is one, its requirements.txt.

    Args:
        plan: tells which extras are needed.
        version: of freehold, as it is to be installed.
    """
    extras = f"[{','.join(plan.extras)}]" if plan.extras else ""
    return f"""\
# Made by `freehold export dockerfile`.
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app
WORKDIR /app
COPY Dockerfile requirements.tx[t] ./
RUN pip install --no-cache-dir 'freehold{extras}=={version}' \\
 && if [ -f requirements.txt ]; then pip install --no-cache-dir -r requirements.txt; fi
RUN useradd --uid {USER} --no-create-home freehold \\
 && install -d -o freehold -g freehold {DATA} {OBJECTS}
COPY . .
USER {USER}
CMD ["freehold", "--help"]
"""
