# mcq_warnings: what every C file of this repository compiles under. They are errors by
# CMAKE_COMPILE_WARNING_AS_ERROR; a user who must build with another compiler turns that off with
# `cmake --compile-no-warning-as-error`.
add_library(mcq_warnings INTERFACE)
target_compile_options(mcq_warnings INTERFACE
    -Wall
    -Wextra
    -Wconversion
    -Wsign-conversion
    -Wshadow
    -Wcast-qual
    -Wpointer-arith
    -Wvla
    -Wundef
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wswitch-enum
    # clang has no strict form: it always judges by the pointer's type.
    $<IF:$<C_COMPILER_ID:GNU>,-Wcast-align=strict,-Wcast-align>)
