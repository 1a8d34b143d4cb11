# Plantings: -DMCQ_PLANT=NAME builds the rooms from a copy with tests/sim/plants/NAME.patch applied, a
# deliberate bug that the simulator must find. The copy is in the build directory; without MCQ_PLANT
# the rooms are what is in the source tree.
set(MCQ_PLANT "" CACHE STRING "A planting of tests/sim/plants to build with: a deliberate bug")
set(MCQ_ROOMS include mem proto patterns runtime shards)
set(MCQ_ROOMS_DIR ${PROJECT_SOURCE_DIR})

# Only what differs is written, so that going from one planting to the next compiles little.
function(mcq_plant name dir)
    set(patch_file ${PROJECT_SOURCE_DIR}/tests/sim/plants/${name}.patch)
    set(stage ${PROJECT_BINARY_DIR}/plant-stage)
    if(NOT EXISTS ${patch_file})
        message(FATAL_ERROR "MCQ_PLANT: there is no ${patch_file}")
    endif()
    find_program(MCQ_PATCH patch REQUIRED)
    mark_as_advanced(MCQ_PATCH)
    file(REMOVE_RECURSE ${stage})
    foreach(room IN LISTS MCQ_ROOMS)
        file(COPY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${stage})
    endforeach()
    # Without fuzz: a hunk that finds its place by two lines has been seen to find a wrong one.
    execute_process(COMMAND ${MCQ_PATCH} --strip=1 --fuzz=0 --no-backup-if-mismatch
                            --input=${patch_file}
                    WORKING_DIRECTORY ${stage} RESULT_VARIABLE failed OUTPUT_VARIABLE output
                    ERROR_VARIABLE output)
    if(failed)
        message(FATAL_ERROR "MCQ_PLANT=${name}: the patch no longer applies:\n${output}")
    endif()
    file(GLOB_RECURSE old RELATIVE ${dir} ${dir}/*)
    file(GLOB_RECURSE new RELATIVE ${stage} ${stage}/*)
    list(REMOVE_ITEM old ${new})
    foreach(path IN LISTS old)
        file(REMOVE ${dir}/${path})
    endforeach()
    foreach(path IN LISTS new)
        cmake_path(GET path PARENT_PATH parent)
        file(MAKE_DIRECTORY ${dir}/${parent})
        file(COPY_FILE ${stage}/${path} ${dir}/${path} ONLY_IF_DIFFERENT)
        set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                     ${PROJECT_SOURCE_DIR}/${path})
    endforeach()
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${patch_file})
    file(REMOVE_RECURSE ${stage})
    message(STATUS "Planted: ${name}. This build has a deliberate bug.")
endfunction()

if(MCQ_PLANT)
    set(MCQ_ROOMS_DIR ${PROJECT_BINARY_DIR}/planted)
    mcq_plant(${MCQ_PLANT} ${MCQ_ROOMS_DIR})
endif()
