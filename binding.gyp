{
  "targets": [
    {
      "target_name": "baton",
      "sources": [
        "src/kernel/native/module.c",
        "src/kernel/native/host.c",
        "src/kernel/native/repair.c",
        "src/kernel/native/repair_dump.c",
        "src/kernel/native/repair_lock.c",
        "src/kernel/native/repair_freeze.c",
        "src/kernel/native/repair_restore.c",
        "src/kernel/native/gate.c",
        "src/kernel/native/gate_listen.c",
        "src/kernel/native/bpf.c",
        "src/kernel/native/attach.c",
        "src/kernel/native/cgroup.c",
        "src/kernel/native/tap.c",
        "src/kernel/native/stream.c"
      ],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "libraries": ["-lbpf"]
    }
  ]
}
