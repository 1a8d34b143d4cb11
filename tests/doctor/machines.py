"""Golden machines for mcq-doctor: what their proc/ and sys/ hold, and what is to be said of them.

A machine is a dictionary of files, path -> text or bytes, with the options it is examined with, and
the status that is expected of every check: one for all, but for those that are named.
"""

import os
import struct

PASS, WARN, FAIL, UNKNOWN = "PASS", "WARN", "FAIL", "UNKNOWN"

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"
HUGE = "hugepages/hugepages-2048kB/nr_hugepages"
FLAGS = "fpu tsc msr constant_tsc nonstop_tsc rdtscp"


class Machine:
    def __init__(self, name, options, files, default, **others):
        self.name = name
        self.options = options
        self.files = files
        self.default = default
        self.others = {key.replace("_", "-"): value for key, value in others.items()}
        self.unreadable = []
        self.twice = True  # a second look at counters: what isn't in later/ hasn't changed

    def expected(self, check):
        return self.others.get(check, self.default)

    def write(self, root):
        if self.twice:
            os.makedirs(os.path.join(root, "later"), exist_ok=True)
        for path, content in self.files.items():
            whole = os.path.join(root, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "wb") as f:
                f.write(content if isinstance(content, bytes) else content.encode())
        for path in self.unreadable:
            os.chmod(os.path.join(root, path), 0)


def interrupts(lines, cpus):
    """lines: name -> count per CPU."""
    head = " " * 11 + "".join(f"CPU{c:<8}" for c in cpus) + "\n"
    body = "".join(f"{name:>4}: " + "".join(f"{n:>10} " for n in counts) + "  what it is\n"
                   for name, counts in lines.items())
    return head + body + " ERR:          0\n MIS:          0\n"


def stat(cpus, steal=0):
    return ("cpu  1 2 3 4 5 6 7 8 0 0\n"
            + "".join(f"cpu{c} 100 0 100 9000 1 0 2 {steal} 0 0\n" for c in cpus) + "intr 5 0 1\n")


def softnet(cpus, drops=0, squeezes=0):
    return "".join(f"{1000 + c:08x} {drops:08x} {squeezes:08x} " + " ".join(["00000000"] * 9)
                   + f" {c:08x} 00000000 00000000\n" for c in cpus)


def limits(files, memlock):
    return ("Limit                     Soft Limit           Hard Limit           Units     \n"
            f"Max open files            {files:<20} {files:<20} files     \n"
            f"Max locked memory         {memlock:<20} {memlock:<20} bytes     \n")


def status(allowed, caps="0000000000000000", seccomp=0):
    return (f"Name:\tx\nCapEff:\t{caps}\nSeccomp:\t{seccomp}\n"
            f"Cpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n")


def thread(pid, name, ticks=0):
    fields = "S 2 0 0 0 -1 69238880 0 0 0 0 0 " + f"{ticks} 0 0 20 0 1 0 9 0 0\n"
    return {f"proc/{pid}/comm": f"{name}\n", f"proc/{pid}/stat": f"{pid} ({name}) {fields}"}


def ethtool(**values):
    base = {"driver": "mlx5_core, firmware 16.35", "coalesce_errno": 0, "rx_usecs": 0,
            "rx_frames": 1, "adaptive_rx": 0, "adaptive_tx": 0, "rings_errno": 0, "rx_ring": 1024,
            "rx_ring_max": 8192, "queues_errno": 0, "queues": 2, "queues_max": 63, "lro_errno": 0,
            "lro": 0, "gro_errno": 0, "gro": 1, "tso_errno": 0, "tso": 1}
    base.update(values)
    return "".join(f"{k} {v}\n" for k, v in base.items())


def ring(**values):
    base = {"setup_errno": 0, "defer_errno": 0, "features": 0x3ffff, "ops_errno": 0, "last_op": 62,
            "napi_errno": 0, "register_ops": 36}
    base.update(values)
    return "".join(f"{k} {v}\n" for k, v in base.items())


def cpu_files(cpu, governor, epp, states, siblings):
    at = f"{CPU}/cpu{cpu}"
    files = {f"{at}/cpufreq/scaling_governor": f"{governor}\n",
             f"{at}/cpufreq/energy_performance_preference": f"{epp}\n",
             f"{at}/power/energy_perf_bias": "0\n" if governor == "performance" else "6\n",
             f"{at}/topology/thread_siblings_list": f"{siblings}\n",
             f"{at}/thermal_throttle/core_throttle_count": "0\n",
             f"{at}/thermal_throttle/package_throttle_count": "0\n"}
    for number, (name, latency, disabled) in enumerate(states):
        state = f"{at}/cpuidle/state{number}"
        files |= {f"{state}/name": f"{name}\n", f"{state}/latency": f"{latency}\n",
                  f"{state}/disable": f"{disabled}\n"}
    return files


SYSCTLS_TUNED = {
    "kernel/numa_balancing": 0, "vm/compaction_proactiveness": 0, "vm/swappiness": 1,
    "kernel/nmi_watchdog": 0, "kernel/soft_watchdog": 0, "kernel/hung_task_timeout_secs": 600,
    "vm/stat_interval": 10, "kernel/timer_migration": 0, "kernel/sched_rt_runtime_us": -1,
    "kernel/io_uring_disabled": 0, "net/core/busy_poll": 50, "net/core/busy_read": 50,
    "net/ipv4/tcp_slow_start_after_idle": 0, "net/ipv4/tcp_autocorking": 0,
    "net/ipv4/tcp_rmem": "4096\t131072\t8388608", "net/ipv4/tcp_wmem": "4096\t65536\t8388608",
    "net/core/rmem_max": 8388608, "net/core/wmem_max": 8388608, "net/core/somaxconn": 4096,
    "net/ipv4/tcp_max_syn_backlog": 4096, "net/ipv4/ip_local_port_range": "15000\t65535",
    "kernel/osrelease": "6.12.9-amd64", "kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian",
}
SYSCTLS_PLAIN = SYSCTLS_TUNED | {
    "kernel/numa_balancing": 1, "vm/compaction_proactiveness": 20, "vm/swappiness": 60,
    "kernel/nmi_watchdog": 1, "kernel/soft_watchdog": 1, "kernel/hung_task_timeout_secs": 120,
    "vm/stat_interval": 1, "kernel/timer_migration": 1, "kernel/sched_rt_runtime_us": 950000,
    "net/core/busy_poll": 0, "net/core/busy_read": 0, "net/ipv4/tcp_slow_start_after_idle": 1,
    "net/ipv4/tcp_autocorking": 1, "net/core/rmem_max": 212992, "net/core/wmem_max": 212992,
    "net/ipv4/tcp_rmem": "4096\t131072\t212992", "net/ipv4/tcp_wmem": "4096\t16384\t212992",
    "net/core/somaxconn": 128, "net/ipv4/tcp_max_syn_backlog": 128,
    "net/ipv4/ip_local_port_range": "32768\t40000",
}


def sysctls(values):
    return {f"proc/sys/{name}": f"{value}\n" for name, value in values.items()}


def tuned():
    """A server of two nodes, shards on 2-3, everything as it should be."""
    cpus = range(8)
    files = sysctls(SYSCTLS_TUNED)
    for cpu in cpus:
        states = [("POLL", 0, 0), ("C1", 2, 0), ("C6", 170, 1)]
        files |= cpu_files(cpu, "performance", "performance", states, cpu)
    files |= thread(40, "ksoftirqd/2") | thread(41, "ksoftirqd/3") | thread(900, "ptp4l")
    files |= thread(901, "(odd) name)")
    irqs = {"24": [9] * 8, "25": [5, 5, 0, 0, 5, 5, 5, 5], "LOC": [99] * 8, "RES": [3] * 8}
    files |= {
        f"{CPU}/online": "0-7\n", f"{CPU}/isolated": "2-3\n", f"{CPU}/nohz_full": "2-3\n",
        f"{CPU}/intel_pstate/min_perf_pct": "100\n", f"{NODE}/online": "0-1\n",
        f"{NODE}/node0/cpulist": "0-3\n", f"{NODE}/node1/cpulist": "4-7\n",
        f"{NODE}/node0/{HUGE}": "512\n", f"{NODE}/node1/{HUGE}": "0\n",
        f"{NODE}/node0/numastat": "numa_hit 5\nnuma_miss 0\nnuma_foreign 0\nother_node 0\n",
        f"{NODE}/node1/numastat": "numa_hit 5\nnuma_miss 0\nnuma_foreign 0\nother_node 0\n",
        f"{CPU}/vulnerabilities/spectre_v1": "Mitigation: barriers\n",
        f"{CPU}/vulnerabilities/meltdown": "Not affected\n",
        "proc/cmdline": "root=/dev/sda1 isolcpus=domain,managed_irq,2-3 nohz_full=2-3 "
                        "preempt=none mitigations=auto\n",
        "proc/2/status": status("0-1,4-7"), "proc/2/comm": "kthreadd\n",
        "proc/self/status": status("0-7", "0000000000004000"),
        "proc/self/limits": limits(1048576, "unlimited"),
        "proc/self/cgroup": "0::/system.slice/md.service\n",
        "proc/swaps": "Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n",
        "proc/cpuinfo": f"processor\t: 0\nflags\t\t: {FLAGS}\n",
        "proc/interrupts": interrupts(irqs, cpus), "proc/stat": stat(cpus),
        "proc/net/softnet_stat": softnet(cpus), "proc/net/route":
        "Iface\tDestination\tGateway\neth0\t00000000\t0102A8C0\n",
        "proc/irq/default_smp_affinity": "f3\n",
        "proc/irq/24/effective_affinity_list": "0\n", "proc/irq/24/smp_affinity_list": "0-7\n",
        "proc/irq/25/effective_affinity_list": "1\n", "proc/irq/25/smp_affinity_list": "1\n",
        "sys/devices/virtual/workqueue/cpumask": "f3\n",
        "sys/devices/virtual/workqueue/writeback/cpumask": "f3\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "sys/kernel/mm/transparent_hugepage/defrag":
            "always defer defer+madvise [madvise] never\n",
        "sys/kernel/mm/ksm/run": "0\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
        "sys/class/ptp/ptp0/clock_name": "mlx5_ptp\n",
        "sys/devices/system/machinecheck/machinecheck0/ignore_ce": "1\n",
        "sys/devices/system/machinecheck/machinecheck0/check_interval": "0\n",
        "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n",
        "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        "sys/fs/cgroup/system.slice/md.service/cpu.max": "max 100000\n",
        "sys/fs/cgroup/system.slice/md.service/cpu.stat":
            "usage_usec 5\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
        "sys/class/net/eth0/device/numa_node": "0\n",
        "sys/class/net/eth0/device/msi_irqs/24": "msix\n",
        "sys/class/net/eth0/device/msi_irqs/25": "msix\n",
        "sys/class/net/eth0/queues/rx-0/rps_cpus": "00\n",
        "sys/class/net/eth0/queues/rx-1/rps_cpus": "00\n",
        "sys/class/net/eth0/queues/tx-0/xps_cpus": "0f\n",
        "sys/class/net/eth0/queues/tx-1/xps_cpus": "f0\n",
        "sys/class/net/eth0/threaded": "0\n", "sys/class/net/eth0/gro_flush_timeout": "0\n",
        "sys/class/net/eth0/napi_defer_hard_irqs": "0\n",
        "dev/cpu/2/msr": b"\0" * 0x34 + struct.pack("<Q", 12),
        "live/adjtimex": "state 0\nstatus 8193\nmaxerror_us 12\nesterror_us 1\n",
        "live/tsc": "pairs 1\nrounds 2000\nskew_ns 9\nbound_ns 60\n",
        "live/tick": "tick_ns 4000000\n", "live/io_uring": ring(), "live/bpf": "map_errno 0\n",
        "live/ethtool": ethtool(),
    }
    return Machine("tuned", ["--cpus", "2-3"], files, PASS)


def laptop():
    """Two cores of two threads, everything as distributions leave it, all of it in use."""
    cpus = range(4)
    files = tuned().files | sysctls(SYSCTLS_PLAIN)
    for path in [p for p in files if p.startswith((f"{NODE}/node1", "sys/fs/cgroup", "dev/"))
                 or "/numa_node" in p or p == f"{CPU}/nohz_full"]:
        del files[path]
    for cpu in cpus:
        states = [("POLL", 0, 0), ("C1_ACPI", 1, 0), ("C10_ACPI", 310, 0)]
        files |= cpu_files(cpu, "powersave", "balance_power", states, "0,2" if cpu % 2 == 0
                           else "1,3")
    files |= thread(40, "ksoftirqd/1", 7) | thread(41, "ksoftirqd/2", 1) | thread(42, "ksoftirqd/3")
    files |= thread(43, "irqbalance") | thread(900, "systemd-timesyn")
    files |= {f"later/{p}": c for p, c in thread(40, "ksoftirqd/1", 9).items() if "stat" in p}
    files |= {
        f"{CPU}/online": "0-3\n", f"{CPU}/isolated": "\n", f"{NODE}/online": "0\n",
        f"{NODE}/node0/{HUGE}": "0\n", f"{CPU}/intel_pstate/min_perf_pct": "22\n",
        f"{CPU}/cpu2/thermal_throttle/core_throttle_count": "17\n",
        "proc/cmdline": "root=/dev/nvme0n1p2 quiet\n", "proc/2/status": status("0-3"),
        f"{CPU}/vulnerabilities/meltdown": "Vulnerable\n",
        "proc/self/status": status("0-3"), "proc/self/limits": limits(1024, 8388608),
        "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 9 0 -2\n",
        "proc/sys/kernel/osrelease": "5.15.0-91-generic\n",
        "proc/sys/kernel/version": "#1 SMP PREEMPT_RT\n",
        "proc/interrupts": interrupts({"24": [9, 9, 9, 9], "LOC": [99] * 4, "RES": [9] * 4}, cpus),
        "later/proc/interrupts":
            interrupts({"24": [9, 12, 9, 9], "LOC": [99, 299, 299, 299], "RES": [9, 99, 9, 9]},
                       cpus),
        "proc/stat": stat(cpus), "proc/net/softnet_stat": softnet(cpus),
        "later/proc/net/softnet_stat": softnet(cpus, 2, 3),
        f"later/{NODE}/node0/numastat": "numa_hit 5\nnuma_miss 4\nnuma_foreign 0\n",
        "proc/irq/default_smp_affinity": "f\n", "proc/irq/24/effective_affinity_list": "1-2\n",
        "sys/devices/virtual/workqueue/cpumask": "f\n",
        "sys/devices/virtual/workqueue/writeback/cpumask": "f\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
        "sys/kernel/mm/transparent_hugepage/defrag": "[always] defer defer+madvise madvise never\n",
        "sys/kernel/mm/ksm/run": "1\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
        "sys/devices/system/clocksource/clocksource0/available_clocksource": "hpet acpi_pm\n",
        "proc/cpuinfo": "flags : fpu tsc constant_tsc\n",
        "sys/devices/system/machinecheck/machinecheck0/ignore_ce": "0\n",
        "sys/devices/system/machinecheck/machinecheck0/check_interval": "12c\n",
        "sys/class/net/eth0/queues/rx-0/rps_cpus": "f\n",
        "sys/class/net/eth0/queues/tx-0/xps_cpus": "0\n", "sys/class/net/eth0/threaded": "1\n",
        "sys/class/net/eth0/gro_flush_timeout": "20000\n",
        "live/adjtimex": "state 0\nstatus 8193\nmaxerror_us 5000\nesterror_us 1\n",
        "live/tsc": "pairs 2\nrounds 2000\nskew_ns 900\nbound_ns 60\n",
        "live/tick": "tick_ns 1000000\n",
        "live/io_uring": ring(defer_errno=22, features=0xff, last_op=39, napi_errno=22,
                              register_ops=20),
        "live/bpf": "map_errno 1\n",
        "live/ethtool": ethtool(rx_usecs=50, adaptive_rx=1, rx_ring=256, queues=1, lro=1),
    }
    return Machine(
        "laptop", ["--cpus", "1-3"], files, WARN,
        cpu_count=PASS, cpu_affinity=PASS, cpu_governor=FAIL, cpu_idle_states=FAIL,
        cpu_isolated=FAIL, cpu_nohz_full=UNKNOWN, cpu_zero=PASS, mem_numa_nic=PASS,
        mem_memlock=WARN, clock_source=FAIL, clock_tsc_flags=FAIL, clock_daemon=PASS,
        clock_ptp=PASS, kernel_version=FAIL, kernel_mitigations=PASS, ring_allowed=PASS,
        ring_disabled=PASS, ring_seccomp=PASS, ring_defer=FAIL, ring_features=FAIL,
        ring_operations=FAIL, net_softnet_drops=FAIL, nic_driver=PASS, nic_offloads=PASS,
        host_virtual=PASS, host_steal=PASS, host_cpu_max=UNKNOWN, host_throttled=UNKNOWN,
        host_smi=UNKNOWN, host_files=FAIL)


def container():
    """A container that shows little, may little, and has a quota; much can't be read."""
    cpus = range(2)
    files = {
        f"{CPU}/online": "0-1\n", f"{CPU}/isolated": "\n", "proc/cmdline": "quiet\n",
        "proc/self/status": status("0", seccomp=2), "proc/self/limits": limits(4096, 65536),
        "proc/self/cgroup": "0::/\n", "proc/1/comm": "app\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu\n", "sys/fs/cgroup/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 9\nnr_periods 9\nnr_throttled 3\n",
        "later/sys/fs/cgroup/cpu.stat": "usage_usec 9\nnr_periods 9\nnr_throttled 4\n",
        "proc/sys/kernel/io_uring_disabled": "2\n", "proc/sys/kernel/osrelease": "6.1.0-9\n",
        "proc/sys/net/core/busy_poll": "0\n", "proc/interrupts": interrupts({"9": [1, 1]}, cpus),
        "proc/irq/9/smp_affinity_list": "0\n", "proc/stat": stat(cpus, 4), "proc/swaps": "",
        "live/io_uring": "setup_errno 1\nsetup_error Operation not permitted\n",
        "live/bpf": "map_errno 1\n", "live/adjtimex": "error Operation not permitted\n",
    }
    machine = Machine(
        "container", ["--cpus", "0-1"], files, UNKNOWN,
        cpu_count=WARN, cpu_affinity=FAIL, cpu_isolated=FAIL, cpu_rcu_nocbs=WARN, cpu_zero=WARN,
        irq_balance=PASS, mem_memlock=FAIL, clock_daemon=WARN, kernel_version=PASS,
        ring_allowed=FAIL, ring_disabled=FAIL, ring_seccomp=FAIL, ring_bpf=WARN,
        net_busy_poll=WARN, host_cpu_max=FAIL, host_throttled=FAIL, host_files=WARN)
    machine.unreadable = ["proc/interrupts", "proc/irq/9/smp_affinity_list", "proc/stat"]
    return machine


def vm():
    """A guest on the tuned server: its CPUs are shared, its interface is virtual."""
    cpus = range(8)
    machine = tuned()
    machine.name = "vm"
    machine.options = ["--cpus", "2-3", "--nic", "eth0"]
    machine.files |= {
        "proc/cpuinfo": f"flags\t\t: {FLAGS} hypervisor\n", "proc/stat": stat(cpus, 5),
        "later/proc/stat": stat(cpus, 6),
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "live/tsc": "pairs 1\nrounds 300\nskew_ns 700\nbound_ns 900\n",
        "live/ethtool": ethtool(driver="virtio_net", queues=1, queues_max=1, coalesce_errno=95,
                                lro_errno=95),
        "live/adjtimex": "state 5\nstatus 64\nmaxerror_us 16000000\nesterror_us 16000000\n",
        f"{NODE}/node0/{HUGE}": "255\n", "sys/class/net/eth0/device/numa_node": "1\n",
        "proc/irq/24/effective_affinity_list": "0,4\n",
        "sys/class/net/eth0/queues/rx-0/rps_cpus": "0c\n",
        "proc/self/limits": limits(65536, 1 << 40),
    }
    machine.others = {
        "clock-source": WARN, "clock-tsc-skew": UNKNOWN, "clock-sync": WARN,
        "mem-numa-nic": WARN, "mem-hugepages": WARN, "irq-nic": WARN, "nic-coalescing": UNKNOWN,
        "nic-lro": UNKNOWN, "nic-queues": WARN, "nic-rps": WARN, "host-virtual": WARN,
        "host-steal": FAIL}
    return machine


def old_groups():
    """Control groups of version 1 whose parent has the quota, and a folder that isn't theirs."""
    machine = tuned()
    machine.name = "old groups"
    del machine.files["sys/fs/cgroup/cgroup.controllers"]
    machine.files |= {
        "proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/\n",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.stat": "nr_periods 9\nnr_throttled 3\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    }
    machine.others = {"host-cpu-max": WARN, "host-throttled": WARN}
    return machine


def once():
    """A copy of the tuned server: rises aren't known, what never happened is."""
    machine = tuned()
    machine.name = "once"
    machine.twice = False
    machine.others = {check: UNKNOWN for check in
                      ("irq-devices", "irq-tick", "irq-ipi", "irq-ksoftirqd", "mem-numa-misses",
                       "host-smi")}
    return machine


def empty():
    return Machine("empty", [], {}, UNKNOWN)


def bare_cpus():
    """--cpus and nothing to read: what follows from the list alone is still true."""
    return Machine("bare cpus", ["--cpus", "0,4"], {}, UNKNOWN, cpu_zero=WARN)


ALL = (tuned, laptop, container, vm, old_groups, once, empty, bare_cpus)
