# One Criterion program per folder of tests/unit, which mirrors the source: test-proto links mem/
# and proto/ and nothing else, as the include directions have it.
pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)

set(rooms_of_mem mcq_mem)
set(rooms_of_proto mcq_mem mcq_proto)
set(rooms_of_patterns mcq_mem mcq_patterns)
set(rooms_of_runtime mcq_mem mcq_kernel mcq_runtime)

function(mcq_add_unit name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    if(NOT arg_SOURCES)
        return()
    endif()
    add_executable(test-${name} ${arg_SOURCES}
                   ${PROJECT_SOURCE_DIR}/tests/unit/runner.c)
    if(MCQ_SANITIZE)
        # It is the library that must be fast enough; of Criterion's macros gcc makes a long business.
        target_compile_options(test-${name} PRIVATE -O0)
    endif()
    target_link_libraries(test-${name} PRIVATE ${arg_LINK} mcq_test PkgConfig::CRITERION)
    mcq_add_test(test-${name} LABEL unit
                 COMMAND test-${name} --verbose --ascii --timeout 300)
    # Criterion looks away when a test has passed and its process then reports a leak.
    set_tests_properties(test-${name} PROPERTIES
                         FAIL_REGULAR_EXPRESSION "LeakSanitizer: detected memory leaks")
endfunction()

# Criterion speaks nanomsg. nng has functions of the same names, which it would call instead if it
# met them first, and nng can't be used in a process that was forked from one that has used it.
find_library(MCQ_NANOMSG NAMES nanomsg libnanomsg.so.5)
mark_as_advanced(MCQ_NANOMSG)
if(MCQ_NANOMSG)
    set(nanomsg -Wl,--push-state,--no-as-needed ${MCQ_NANOMSG} -Wl,--pop-state)
endif()

file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true ${CMAKE_CURRENT_SOURCE_DIR}/unit/*)
foreach(folder IN LISTS folders)
    cmake_path(GET folder FILENAME room)
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c)
    # mcq-perf is linked as a program that uses the library, and its tests with it.
    if(room STREQUAL "perf")
        if(TARGET mcq_perf_rooms)
            mcq_add_unit(perf SOURCES ${sources} LINK ${nanomsg} mcq_perf_rooms)
        endif()
        continue()
    endif()
    if(NOT DEFINED rooms_of_${room})
        set(rooms_of_${room} ${MCQ_ALL_ROOMS})
    endif()
    mcq_add_unit(${room} SOURCES ${sources} LINK ${rooms_of_${room}})
endforeach()
