"""The driver of a Julabo: one poll is a sequence of requests. An unreadable answer makes its own point BAD only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from countingroom.core.errors import DeviceError
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.julabo import codec
from countingroom.devices.drivers.julabo.description import HIGHEST_C, LOWEST_C, JulaboSection
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts, Settings
from countingroom.devices.serial.pending_answers import Probe

NOT_KNOWN = 0
"""The pump stage before the first write: the chiller has no request that reads it."""

PROBES = (Probe(codec.VERSION, codec.is_version), Probe(codec.STATUS, codec.is_status))

_PARSERS: dict[str, Callable[[bytes], Scalar]] = {
    "external_temp": codec.parse_sensor,
    "used_setpoint": codec.parse_setpoint_number,
    "ext_is_used": codec.parse_switch,
    "running": codec.parse_switch,
}
"""Point -> parser of its answer; `parse_number` where not named."""


class JulaboDriver:
    """A chiller on a serial line."""

    def __init__(self, section: JulaboSection, ports: SerialPorts) -> None:
        self._section = section
        self._line = ports.line(
            Settings(
                address=section.port,
                baudrate=section.baudrate,
                bits=section.bits,
                parity=section.parity,
                stop_bits=section.stop_bits,
                rtscts=section.rtscts,
                terminator=codec.ANSWER_END,
                probes=PROBES,
            )
        )
        self._version = Sample(point="version", value=None, quality=Quality.BAD)
        self._stage = Sample(point="pressure_stage", value=NOT_KNOWN, quality=Quality.UNCERTAIN)

    @property
    def points(self) -> tuple[Point, ...]:
        return points(self._section)

    async def connect(self) -> None:
        await self._line.open(self._section.timeout)
        version = await self._ask(codec.VERSION)
        self._version = Sample(point="version", value=version.decode("ascii", "backslashreplace").strip())

    async def read(self) -> Sequence[Sample]:
        samples = list(_status(await self._ask(codec.STATUS)))
        for point, question in codec.READS.items():
            samples.append(_sample(point, await self._ask(question)))
        return [*samples, self._stage, self._version]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        await self._line.send(codec.request(point, value), quiet_s=self._section.write_gap)
        if point == "pressure_stage":
            self._stage = Sample(point=point, value=value, quality=Quality.UNCERTAIN)

    async def close(self) -> None:
        await self._line.close()

    async def _ask(self, question: bytes) -> bytes:
        return await self._line.query(question, timeout_s=self._section.timeout, quiet_s=self._section.read_gap)


def _status(answer: bytes) -> tuple[Sample, Sample]:
    try:
        status = codec.parse_status(answer)
    except DeviceError as error:
        return (
            Sample(point="status_code", value=None, quality=Quality.BAD),
            Sample(point="status_text", value=error.cause.message, quality=Quality.UNCERTAIN),
        )
    return Sample(point="status_code", value=status.code), Sample(point="status_text", value=status.text)


def _sample(point: str, answer: bytes) -> Sample:
    try:
        value = _PARSERS.get(point, codec.parse_number)(answer)
    except DeviceError:
        value = None
    return Sample(point=point, value=value, quality=Quality.BAD if value is None else Quality.GOOD)


def points(section: JulaboSection) -> tuple[Point, ...]:
    """All points of a Julabo."""
    return (
        Point(
            name="status_code",
            label="Status",
            description="below 0 a fault, 0 and 1 manual control, 2 and 3 remote control",
            type=Type.INT,
            precision=0,
            codes={"0": "manual stop", "1": "manual start", "2": "remote stop", "3": "remote start"},
        ),
        Point(name="status_text", label="Status text", type=Type.STRING),
        _temperature("internal_temp", "Bath", "bath temperature"),
        *(_setpoint(number) for number in (1, 2, 3)),
        Point(
            name="used_setpoint",
            label="Setpoint in use",
            type=Type.INT,
            precision=0,
            choices=(1, 2, 3),
            writable=True,
        ),
        Point(name="power", label="Power", description="heating, or cooling below 0", unit="percent", precision=1),
        Point(
            name="ext_is_used",
            label="External control",
            description="controls on the external Pt100 instead of the bath",
            type=Type.BOOL,
            writable=True,
        ),
        _temperature("external_temp", "External Pt100", "no value while no sensor is plugged in"),
        Point(name="running", label="Running", type=Type.BOOL, writable=True, main=False),
        Point(
            name="pressure_stage",
            label="Pump stage",
            description="as sent from here; the chiller does not say which stage holds",
            type=Type.INT,
            precision=0,
            codes={str(NOT_KNOWN): "not known"},
            writable=True,
            write_low=1,
            write_high=section.pressure_stages,
            main=False,
        ),
        Point(name="version", label="Version", type=Type.STRING, main=False),
    )


def _temperature(name: str, label: str, description: str) -> Point:
    return Point(name=name, label=label, description=description, unit="degC", deadband=0.01)


def _setpoint(number: int) -> Point:
    return Point(
        name=f"setpoint_{number}",
        label=f"Setpoint {number}",
        unit="degC",
        writable=True,
        write_low=LOWEST_C,
        write_high=HIGHEST_C,
        tolerance=0.006,
    )
