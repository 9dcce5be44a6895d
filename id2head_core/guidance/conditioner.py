"""Turns text, camera and domain into what the embedded base attends to.

Stable Diffusion has none of this: its text tokens go into the network as they are, and the camera
speaks through the prompt only.
"""

import torch
from torch import nn

TEXT_COMPONENTS = 64
"""Principal components of the sentence embedding that are kept, whitened."""

SENTENCE_TOKENS = 2
"""Tokens made from the sentence embedding, beside the words'."""

CAMERA_FEATURES = 14


def camera_features(camera: torch.Tensor) -> torch.Tensor:
    """Smooth features of yaw, pitch (degrees) and zoom ``[B, 3]``: ``[B, CAMERA_FEATURES]``."""
    yaw, pitch = torch.deg2rad(camera[:, 0]), torch.deg2rad(camera[:, 1])
    features = [f(k * yaw) for k in (1, 2, 3, 4) for f in (torch.sin, torch.cos)]
    features += [f(k * pitch) for k in (2, 4) for f in (torch.sin, torch.cos)]
    features += [camera[:, 2] - 1.5, (camera[:, 2] - 1.0).clamp(max=0.3)]
    return torch.stack(features, dim=1)


class Conditioner(nn.Module):
    """Text, camera and domain to tokens and to one vector for feature-wise modulation (FiLM).

    Args:
        text_dim: of the text encoder's tokens and sentence embedding.
        dim: of the tokens.
        pooled_dim: of the vector.
    """

    def __init__(self, text_dim: int, dim: int, pooled_dim: int):
        super().__init__()
        self.register_buffer("text_mean", torch.zeros(text_dim))
        self.register_buffer("text_whitening", torch.eye(text_dim)[:, :TEXT_COMPONENTS] * 8)
        self.words = nn.Linear(text_dim, dim)
        self.sentence = _mlp(TEXT_COMPONENTS, 2 * dim, SENTENCE_TOKENS * dim)
        self.camera = _mlp(CAMERA_FEATURES, 2 * dim, dim)
        self.domain = nn.Embedding(2, dim)
        self.pool = nn.Sequential(
            nn.SiLU(), nn.Linear((SENTENCE_TOKENS + 2) * dim, 2 * dim), nn.SiLU(),
            nn.Linear(2 * dim, pooled_dim),
        )  # fmt: skip
        self.identity_pool = nn.Linear(dim, pooled_dim)
        self.expression_pool = nn.Linear(dim, pooled_dim)
        self.fold_depth = nn.Linear(pooled_dim, 1)  # a factor of its own: somebody's age, mostly
        nn.init.zeros_(self.fold_depth.weight)
        nn.init.ones_(self.fold_depth.bias)

    def tokens(
        self,
        words: torch.Tensor,
        mask: torch.Tensor,
        sentence: torch.Tensor,
        camera: torch.Tensor,
        domain: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Text-branch tokens ``[B, L + 4, D]``, their mask, and the pooled vector ``[B, P]``.

        Args:
            words: of the text encoder, ``[B, L, text_dim]``.
            mask: bool ``[B, L]``.
            sentence: embedding ``[B, text_dim]``.
            camera: ``[B, 3]``.
            domain: 0 or 1.
        """
        batch = len(words)
        whitened = ((sentence - self.text_mean) @ self.text_whitening).clamp(-4, 4)
        few = self.sentence(whitened).view(batch, SENTENCE_TOKENS, -1)
        seen = self.camera(camera_features(camera))[:, None]  # [B, 1, D]
        kind = self.domain.weight[domain].expand(batch, 1, -1)
        extra = torch.cat([few, seen, kind], dim=1)  # [B, 4, D]
        tokens = torch.cat([extra, self.words(words)], dim=1)
        mask = torch.cat([mask.new_ones(batch, extra.shape[1]), mask], dim=1)
        return tokens, mask, self.pool(extra.flatten(1))

    def set_text_whitening(self, embeddings: torch.Tensor) -> None:
        """Centre and whiten by the principal components of sentence embeddings ``[N, T]``."""
        from .adapter import whitening_of

        mean, matrix = whitening_of(embeddings, TEXT_COMPONENTS)
        self.text_mean.copy_(mean)
        self.text_whitening.copy_(matrix)


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))
