"""The exceptions of `rollout/`: one tree, rooted at `RolloutError`.

RolloutError
├── EncodingError      (also ValueError)  a conversation cannot be rendered in the chat grammar
├── CompletionError    (also ValueError)  the strict parser refuses a completion
├── TokenizerError     (also ValueError)  a tokenizer file, a token name or a token id is wrong
└── EngineError                           an engine failed; the episode is invalid, never worth zero
"""


class RolloutError(Exception):
    """Base of everything that `rollout/` raises on purpose."""


class EncodingError(RolloutError, ValueError):
    """A conversation that the chat grammar cannot express; the message names the offending message."""


class CompletionError(RolloutError, ValueError):
    """A completion that the strict parser refuses (`parsing.parse_completion` classifies it instead)."""


class TokenizerError(RolloutError, ValueError):
    """A tokenizer that cannot be read or trained, or a token it does not have."""


class EngineError(RolloutError):
    """An engine that could not answer: a fault of the machinery, not of the policy."""
