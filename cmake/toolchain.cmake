# Compiler launcher, link time optimization and sanitizers: properties of the build, not of a target.

find_program(MCQ_CCACHE ccache)
mark_as_advanced(MCQ_CCACHE)
if(MCQ_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${MCQ_CCACHE})
endif()

# gcc only: its objects can be fat, so that a program that links the static library without LTO
# still finds machine code in it.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT MCQ_SANITIZE)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE ON)
    string(REPLACE "-fno-fat-lto-objects" "-ffat-lto-objects"
           CMAKE_C_COMPILE_OPTIONS_IPO "${CMAKE_C_COMPILE_OPTIONS_IPO}")
endif()

if(MCQ_BUILD_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "MCQ_BUILD_FUZZ needs clang: use `cmake --preset fuzz`.")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(MCQ_SANITIZE)
    add_compile_options(-fsanitize=${MCQ_SANITIZE} -fno-omit-frame-pointer
                        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MCQ_SANITIZE})
endif()
