"""What the shells of several computers of a cluster tell is joined to the points of one node."""

from __future__ import annotations

from countingroom.core.fleet.node_answers import all_hosts, node_answer
from countingroom.core.fleet.usage import HostUse

ANSWER = """time 1796048000.000000000
page 4096
job 7 31
process 7 1 30 20 5 5 100
job 8 31
process 8 7 100 0 0 0 50
job 9 32
process x
time 1796048000.500000000
"""


def test_a_job_uses_what_all_of_its_processes_use() -> None:
    answer = node_answer(ANSWER)
    one = answer.of_job(31, 2)
    assert (one.cpu_s, one.memory_bytes, one.ends) == (1.6, 150 * 4096, 2)
    assert answer.of_job(32, 0).cpu_s is None and answer.of_job(33, 0).memory_bytes is None
    assert node_answer("time 1796048000.%N\ntime 1796048000.%N\n").times_s is None


def test_an_offset_of_a_clock_is_what_the_time_of_the_question_cannot_explain() -> None:
    answer, at = node_answer(ANSWER), 1796048000.0
    assert answer.clock_offset_s(at - 2.0, at + 0.6) == 0.0  # a step of Slurm begins late
    assert answer.clock_offset_s(at - 2.0, at - 1.0) == 1.5
    assert answer.clock_offset_s(at + 3.0, at + 4.0) == -3.0
    assert node_answer("").clock_offset_s(at, at) is None


def test_several_hosts_are_shown_as_one_with_the_fullest_disk_and_the_last_start() -> None:
    first = HostUse(
        busy_s=10.0, cores=4, memory_bytes=8, memory_used_bytes=2, disk_bytes=100, disk_used_bytes=10, uptime_s=9.0
    )
    second = HostUse(
        busy_s=30.0, cores=8, memory_bytes=8, memory_used_bytes=6, disk_bytes=10, disk_used_bytes=9, uptime_s=5.0
    )
    joined = HostUse(
        busy_s=40.0, cores=12, memory_bytes=16, memory_used_bytes=8, disk_bytes=10, disk_used_bytes=9, uptime_s=5.0
    )
    assert all_hosts([first, second]) == joined
    assert all_hosts([first]) == first
    assert all_hosts([first, HostUse()]).busy_s is None and all_hosts([]) == HostUse()
