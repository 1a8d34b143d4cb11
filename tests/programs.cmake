# Programs that can't be Criterion tests, each linked with all rooms: what interposes malloc, needs
# a process of its own, or runs under ThreadSanitizer.
file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/programs/*.c)
foreach(source IN LISTS programs)
    cmake_path(GET source STEM name)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${MCQ_ALL_ROOMS} mcq_test)
    file(STRINGS ${source} peers REGEX "^#include <c?zmq\\.h>")
    foreach(peer IN LISTS peers)
        string(REGEX REPLACE "^#include <(.*)\\.h>.*" "\\1" peer ${peer})
        find_library(MCQ_LIB${peer} ${peer} REQUIRED)
        target_link_libraries(${name} PRIVATE ${MCQ_LIB${peer}})
    endforeach()
    mcq_add_test(${name} LABEL program COMMAND ${name})
endforeach()

# Measurements, run by hand: mcq-perf's raw and libzmq peers beside programs that share no code with
# it.
file(GLOB measurements CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/perf/*.c)
foreach(source IN LISTS measurements)
    cmake_path(GET source STEM name)
    add_executable(${name} ${source})
    target_compile_options(${name} PRIVATE -O2)
    target_link_libraries(${name} PRIVATE mcq_test_base)
    file(STRINGS ${source} peers REGEX "^#include <zmq\\.h>")
    if(peers)
        find_library(MCQ_LIBzmq zmq REQUIRED)
        target_link_libraries(${name} PRIVATE ${MCQ_LIBzmq})
    endif()
endforeach()

# mcq-topo on the machines of tests/topo.
find_program(MCQ_PYTHON NAMES python3)
mark_as_advanced(MCQ_PYTHON)
if(TARGET mcq-topo AND MCQ_PYTHON)
    mcq_add_test(topo-cli LABEL tool
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/topo/cli.py
                         $<TARGET_FILE:mcq-topo>)
endif()
if(TARGET mcq-topo AND TARGET example-sharded AND MCQ_PYTHON)
    mcq_add_test(steer-cli LABEL program
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/topo/steer_cli.py
                         $<TARGET_FILE:mcq-topo> $<TARGET_FILE:example-sharded>)
endif()

# The command line of mcq-perf. By itself, as it spins on two CPUs.
if(TARGET mcq-perf AND MCQ_PYTHON)
    set(without)
    if(NOT MCQ_PERF_ZMQ_FOUND)
        set(without --without libzmq)
    endif()
    mcq_add_test(perf-cli LABEL tool
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/cli.py
                         $<TARGET_FILE:mcq-perf> ${without})
    set_tests_properties(perf-cli PROPERTIES RUN_SERIAL TRUE)
    mcq_add_test(perf-load LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/load.py
                         $<TARGET_FILE:mcq-perf> ${without})
    set_tests_properties(perf-load PROPERTIES RUN_SERIAL TRUE)
    mcq_add_test(perf-many LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/many.py
                         $<TARGET_FILE:mcq-perf> ${without})
    set_tests_properties(perf-many PROPERTIES RUN_SERIAL TRUE)
endif()

# mcq-doctor on the machines of tests/doctor, and on this one.
if(TARGET mcq-doctor AND MCQ_PYTHON)
    mcq_add_test(doctor-cli LABEL tool
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/doctor/cli.py
                         $<TARGET_FILE:mcq-doctor>)
endif()

# What mcq-perf saves, read back by others.
if(TARGET mcq_perf_rooms AND MCQ_PYTHON)
    add_executable(perf-specimen ${CMAKE_CURRENT_SOURCE_DIR}/perf/specimen/main.c
                   ${CMAKE_CURRENT_SOURCE_DIR}/unit/perf/specimen.c)
    target_link_libraries(perf-specimen PRIVATE mcq_warnings mcq_perf_rooms)
    mcq_add_test(perf-formats LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/formats.py
                         $<TARGET_FILE:perf-specimen>)
    mcq_add_test(perf-formats-js LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/formats_js.py
                         $<TARGET_FILE:perf-specimen> ${CMAKE_BINARY_DIR}/npm)
    mcq_add_test(perf-verdicts-cli LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/verdicts_cli.py
                         $<TARGET_FILE:mcq-perf>)
    mcq_add_test(perf-record LABEL perf
                 COMMAND ${MCQ_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/perf/record.py)
endif()
