{
  "targets": [
    {
      "target_name": "tapwire",
      "conditions": [
        [
          "OS=='linux'",
          {
            "sources": [
              "device/native/module.c",
              "device/native/port.c",
              "device/native/frames.c",
              "device/native/tun.c",
              "device/native/packet.c",
              "device/native/netlink.c"
            ],
            "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
            "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"]
          },
          { "type": "none" }
        ]
      ]
    }
  ]
}
