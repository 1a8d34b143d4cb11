# Outside libraries. Each belongs to one room (scripts/layers checks the includes): liburing to
# runtime/, libnuma to mem/, hwloc and libbpf to shards/.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(NUMA REQUIRED IMPORTED_TARGET numa)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
