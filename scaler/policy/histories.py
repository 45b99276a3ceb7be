"""Where a policy says that the load of the past is read, and how refused calls are counted."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from forecasting.sources.protocol import SlotStatistic
from scaler.policy.durations import check_divides_hour
from scaler.policy.fields import FieldsError, Name, PolicyModel, Query, Seconds, Share


class RefusedSpec(PolicyModel):
    """How refused calls are counted, so that what was asked for is learnt and not what a full fleet could carry."""

    query: Query = Field(
        examples=[
            (
                "(sum by (tenant) (rate(calls_refused_total[5m])) or 0 * sum by (tenant) (asterisk_channels_count))"
                ' and on () (min(avg_over_time(up{job="proxy"}[5m])) >= 0.9)'
            )
        ]
    )
    """Query that yields every tenant's refused set-ups per second, zeros too: without a value the slot is a gap."""
    holding_time: Seconds | None = Field(None, ge=1, le=86400, examples=["3m"])
    """How long a call holds channels on average, its channels added up. `history.channels` needs this or the next."""
    holding_time_query: Query | None = Field(
        None,
        examples=[
            (
                "sum by (tenant) (avg_over_time(asterisk_channels_count[1h]))"
                " / sum by (tenant) (rate(asterisk_calls_sum[1h]))"
            )
        ],
    )
    """Query that yields the same in seconds for every tenant."""
    retry_share: Share = Field(0.0, examples=[0.4])
    """Share of the refused calls that were the next try of a caller who had been refused before. They are taken off."""

    @model_validator(mode="after")
    def _one_holding_time(self) -> Self:
        if self.holding_time is not None and self.holding_time_query is not None:
            raise FieldsError(
                "the holding time is said twice; keep one (null drops what is inherited)",
                "holdingTime",
                "holdingTimeQuery",
            )
        return self


class HistorySpec(PolicyModel):
    """Where the load of the past is read."""

    source: Name = Field("default", examples=["prometheus-main"])
    """Name of a source in the service's configuration."""
    channels: Query | None = Field(None, examples=["sum by (tenant) (asterisk_channels_count)"])
    """Query that yields the channels in use of every tenant: PromQL, LogQL, or for a file source a column."""
    call_rate: Query | None = Field(None, examples=["sum by (tenant) (rate(asterisk_calls_sum[5m]))"])
    """Query that yields the call set-ups per second of every tenant."""
    tenant_label: str = Field("tenant", min_length=1, max_length=200)
    """Label of the query's result that names the tenant."""
    completeness: Query | None = Field(None, examples=['avg by (tenant) (up{job="asterisk"})'])
    """Query that yields, per tenant, the share of its targets that were up. A slot with too few is a gap."""
    minimum_completeness: Share = 0.9
    """Share of targets that must be up for a slot to count as observed."""
    refused: RefusedSpec | None = None
    """How refused calls are counted; the carried load alone is learnt when left out."""
    statistic: SlotStatistic = SlotStatistic.MAXIMUM
    """What the load of a slot is: the maximum drives capacity, the mean forecasts calmer.

    A file source makes its slots by it; a PromQL or LogQL query has to yield it itself.
    """
    step: Seconds = Field(300, ge=60, le=3600)
    """Width of a slot. It must divide an hour."""
    look_back: Seconds = Field(8 * 7 * 86400, ge=86400, le=156 * 7 * 86400)
    """How much history is fetched at first start and used for forecasts."""

    @model_validator(mode="after")
    def _step_divides_the_hour(self) -> Self:
        try:
            check_divides_hour(self.step)
        except ValueError as error:
            raise FieldsError(str(error), "step") from None
        return self

    @model_validator(mode="after")
    def _refused_calls_can_become_channels(self) -> Self:
        refused = self.refused
        if refused is None or self.channels is None:
            return self
        if refused.holding_time is None and refused.holding_time_query is None:
            raise FieldsError(
                "channels needs to know how long a refused call would have held them; give refused.holdingTime "
                "or refused.holdingTimeQuery",
                "refused.holdingTime",
                "refused.holdingTimeQuery",
            )
        return self
