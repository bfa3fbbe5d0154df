"""The devices: what is known of each model, and the record that the engine runs (storage.md 3).

Figures are those of public product sheets and reviews; where storage.md marks them as recalled or
inferred they are defaults to be changed here or with :func:`dataclasses.replace`, nothing more.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from hybridrl.envs.storage.kernels.records import FLASH, HDD, MAX_CHANNELS
from hybridrl.planners.errors import ScenarioError, UnknownNameError

MIB = float(1 << 20)


@dataclass(frozen=True)
class DeviceSpec:
    """One storage device; times in microseconds, rates in MB/s (that is, bytes a microsecond).

    Args:
        name: Key in :data:`DEVICES`.
        kind: ``flash`` or ``hdd``.
        channels: Parallel servers, 1 to 32.
        read_us: Base latency of a read, without the transfer.
        write_us: The same of a write.
        read_mbps: Transfer rate.
        write_mbps: The same of writes.
        sustained_mbps: Rate at which the write buffer drains.
        buffer_bytes: Write buffer; 0 for none.
        noise_base: Service = base latency x (noise_base + noise_exp x Exp(1)) + transfer.
        noise_exp: See ``noise_base``; 0 is deterministic.
        seek_min_us: Shortest seek of a disk.
        seek_read_us: Mean seek of random reads.
        seek_write_us: The same of writes.
        rpm: Turns a minute.
        overprovisioning: Share of spare flash, for write amplification.
        block_pages: Pages of an erase block.
        flash_page_bytes: Their size.
        flash_read_us: Read of a flash page inside the device.
        program_us: Its programming.
        erase_us: Erase of a block.
        capacity_bytes: Of the product, for its lifetime.
        dwpd: Whole-device writes a day it is rated for; 0 for unlimited.
        warranty_years: Over which it is.
    """

    name: str
    kind: str = "flash"
    channels: int = 1
    read_us: float = 0.0
    write_us: float = 0.0
    read_mbps: float = 1000.0
    write_mbps: float = 1000.0
    sustained_mbps: float = 0.0
    buffer_bytes: float = 0.0
    noise_base: float = 0.85
    noise_exp: float = 0.15
    seek_min_us: float = 0.0
    seek_read_us: float = 0.0
    seek_write_us: float = 0.0
    rpm: float = 7200.0
    overprovisioning: float = 0.07
    block_pages: int = 256
    flash_page_bytes: int = 8192
    flash_read_us: float = 75.0
    program_us: float = 750.0
    erase_us: float = 3800.0
    capacity_bytes: float = 0.0
    dwpd: float = 0.0
    warranty_years: float = 5.0

    def __post_init__(self) -> None:
        """Check every field."""
        if self.kind not in ("flash", "hdd"):
            raise UnknownNameError("kind of device", self.kind, ("flash", "hdd"))
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise ScenarioError("channels", self.channels, f"1 to {MAX_CHANNELS}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not (value >= 0 and math.isfinite(value)):
                raise ScenarioError(field.name, value, "a finite number from 0")
        if self.read_mbps <= 0 or self.write_mbps <= 0:
            raise ScenarioError("read_mbps, write_mbps", 0, "rates above 0")
        if self.buffer_bytes and not self.sustained_mbps:
            raise ScenarioError("sustained_mbps", 0.0, "the rate at which the buffer drains")

    def read_4k_us(self) -> float:
        """Mean service time of a random 4 KiB read, without queueing."""
        return self._service(self.read_us, self.seek_read_us, self.read_mbps)

    def write_4k_us(self) -> float:
        """Mean service time of a random 4 KiB write into an empty buffer."""
        return self._service(self.write_us, self.seek_write_us, self.write_mbps)

    def _service(self, base: float, seek: float, rate: float) -> float:
        mean = base * (self.noise_base + self.noise_exp if self.noise_exp else 1.0)
        turn = 30e6 / self.rpm if self.kind == "hdd" else 0.0
        return mean + seek + turn + 4096 / rate

    def amplification(self) -> float:
        """Write amplification of uniform random writes under greedy cleaning."""
        op = max(self.overprovisioning, 0.01)
        return (1 + op) / (2 * op)

    def fill(self, record: Any, noise: bool, buffers: bool, gc: bool) -> None:
        """Write this device into a ``DEVICE`` record, idle and empty.

        Args:
            record: The record.
            noise: Random service times; otherwise their means.
            buffers: With its write buffer.
            gc: With garbage collection.
        """
        disk = self.kind == "hdd"
        record.kind = HDD if disk else FLASH
        record.channels = self.channels
        record.read_us, record.write_us = self.read_us, self.write_us
        if not noise and self.noise_exp:
            record.read_us *= self.noise_base + self.noise_exp
            record.write_us *= self.noise_base + self.noise_exp
        record.read_byte_us, record.write_byte_us = 1 / self.read_mbps, 1 / self.write_mbps
        record.noise_base = self.noise_base
        record.noise_exp = self.noise_exp if noise else 0.0
        if disk:
            record.seek_us = self.seek_min_us
            record.seek_read = (self.seek_read_us - self.seek_min_us) * 15 / 8
            record.seek_write = (self.seek_write_us - self.seek_min_us) * 15 / 8
            record.turn_us = 60e6 / self.rpm
            record.noise_turn = float(noise)
        record.buffer = self.buffer_bytes if buffers else 0.0
        record.drain = self.sustained_mbps
        if gc and not disk and self.dwpd:
            record.gc_amp = self.amplification()
            record.gc_block = float(self.block_pages * self.flash_page_bytes)
            record.gc_us = self.erase_us
            record.gc_copy_us = self.block_pages * (self.flash_read_us + self.program_us)
        record.head = record.tail = -1


_SPECS = (
    DeviceSpec(
        "optane",  # Intel Optane P4800X: measured review and product sheet
        channels=5,
        read_us=7.2,
        write_us=7.5,
        read_mbps=2400,
        write_mbps=2000,
        capacity_bytes=375e9,
        dwpd=30,
    ),
    DeviceSpec(
        "sata_tlc",  # 1.92 TB SATA TLC, D3-S4510 class: recalled
        channels=9,
        read_us=90 - 4096 / 560,
        write_us=45 - 4096 / 510,
        read_mbps=560,
        write_mbps=510,
        sustained_mbps=147,
        buffer_bytes=16 * MIB,
        overprovisioning=0.28,
        capacity_bytes=1.92e12,
        dwpd=2,
    ),
    DeviceSpec(
        "sata_low",  # DRAM-less SATA, SU630 class: recalled and inferred
        channels=6,
        read_us=150 - 4096 / 520,
        write_us=70 - 4096 / 450,
        read_mbps=520,
        write_mbps=450,
        sustained_mbps=60,
        buffer_bytes=16 * MIB,
        overprovisioning=0.07,
        capacity_bytes=480e9,
        dwpd=0.3,
        warranty_years=3,
    ),
    DeviceSpec(
        "hdd",  # Seagate ST1000DM010, 7200 rpm
        kind="hdd",
        read_mbps=180,
        write_mbps=180,
        seek_min_us=800,
        seek_read_us=8500,
        seek_write_us=9500,
        rpm=7200,
        capacity_bytes=1e12,
    ),
)
DEVICES: dict[str, DeviceSpec] = {spec.name: spec for spec in _SPECS}


def find_device(device: str | DeviceSpec) -> DeviceSpec:
    """A device by name, or itself.

    Raises:
        UnknownNameError: If there is no such device.
    """
    if isinstance(device, DeviceSpec):
        return device
    if device not in DEVICES:
        raise UnknownNameError("storage device", device, DEVICES)
    return DEVICES[device]
