"""The causes lab: real kernels whose memory is filled in one way each, and what they report.

    python -m tests.causes            # all scenes, some six minutes, writes fixtures/kernel_log
    python -m tests.causes 7.2-zram --into /tmp

It needs what the kernel lab needs (tests/kernels/README.md). `scenes.py` says what is filled and
which cause the report must show, `uses.c` fills, `init.sh` plays a scene in the guest,
`record.py` boots it. Of thrashing the moment of the kill decides how much page cache is left: a new
recording may show too little of it, and test_causes.py then says so.
"""
