# Ring mode sqpoll: the loop's tests and some programs again, with a kernel thread that has no CPU to
# itself, one at a time.
set(sqpoll_programs chaos ending flow large lifecycle relay)

function(mcq_add_sqpoll name)
    mcq_add_test(sqpoll-${name} LABEL sqpoll COMMAND ${ARGN})
    set_tests_properties(sqpoll-${name} PROPERTIES ENVIRONMENT MCQ_RING=sqpoll RUN_SERIAL TRUE)
endfunction()

foreach(name IN LISTS sqpoll_programs)
    mcq_add_sqpoll(${name} ${name})
endforeach()
if(TARGET test-runtime)
    mcq_add_sqpoll(runtime test-runtime --ascii --timeout 300)
endif()
