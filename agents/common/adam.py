"""Adam with next to no overhead around torch's fused kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class LeanAdam(torch.optim.Adam):
    """``torch.optim.Adam(fused=True)`` without per-step bookkeeping; states are compatible.

    All parameters of a group have gradients whenever it steps, and share one step counter. AMSGrad,
    weight decay and closures take torch's own way.

    Args:
        params: Parameters.
        lr: Learning rate.
        **kwargs: Of ``torch.optim.Adam``.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(params, lr=lr, **{"fused": True, **kwargs})
        self._lists: list[tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]] = []
        self._rates: list[Tensor] = []
        self.loads = 0  # how often a state was loaded

    def hold_rates(self) -> None:
        """From now on read learning rates from tensors, into which this writes those of now.

        A recorded step (``cuda_graph.py``) then follows a schedule.
        """
        device = self.param_groups[0]["params"][0].device
        if not self._rates:
            self._rates = [torch.zeros((), device=device) for _ in self.param_groups]
        for rate, group in zip(self._rates, self.param_groups, strict=True):
            rate.fill_(group["lr"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of every parameter that has a gradient."""
        if not self._lists:
            return self._first_step(closure)
        with torch.no_grad():
            rates: list[Any] = self._rates or [group["lr"] for group in self.param_groups]
            for rate, group, (params, means, squares, steps) in zip(
                rates, self.param_groups, self._lists, strict=True
            ):
                steps[0] += 1
                beta1, beta2 = group["betas"]
                torch._fused_adam_(
                    params,
                    [p.grad for p in params],  # type: ignore[misc]
                    means,
                    squares,
                    [],
                    steps,
                    lr=rate,
                    beta1=beta1,
                    beta2=beta2,
                    weight_decay=0.0,
                    eps=group["eps"],
                    amsgrad=False,
                    maximize=False,
                )
        return None

    def load_state_dict(self, state_dict: Any) -> None:
        """Take a saved state."""
        super().load_state_dict(state_dict)
        self._lists = []
        self.loads += 1
        for state in self.state.values():  # torch's own step counts each: no longer shared
            state["step"] = state["step"].clone()

    def __setstate__(self, state: Any) -> None:
        """After unpickling the lists are made anew."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._lists, self._rates, self.loads = [], [], 0

    def _first_step(self, closure: Any) -> Any:
        """Torch's own step, which makes the states; then gather them, if they are plain."""
        result = super().step(closure)
        plain = all(
            group["fused"] and not (group["amsgrad"] or group["weight_decay"] or group["maximize"])
            for group in self.param_groups
        )
        ready = all(self.state.get(p) for group in self.param_groups for p in group["params"])
        if plain and ready and closure is None:
            self._lists = [self._gather(group["params"]) for group in self.param_groups]
        return result

    def _gather(
        self, params: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        shared = self.state[params[0]]["step"]
        for parameter in params:
            self.state[parameter]["step"] = shared
        means = [self.state[p]["exp_avg"] for p in params]
        squares = [self.state[p]["exp_avg_sq"] for p in params]
        return params, means, squares, [shared] * len(params)


LeanAdam.step.hooked = True  # type: ignore[attr-defined]  # torch wraps steps that are not
