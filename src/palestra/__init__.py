"""Palestra: an agentic RL environment and task-synthesis platform.

Import what you need from the floor it lives on: `palestra.envs`, `palestra.verifiers`,
`palestra.rollout`, `palestra.synth`, `palestra.policy`, `palestra.infra`, `palestra.services`.
"""

__version__ = "0.1.0"
