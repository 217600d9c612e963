# test/unit/<folder>/<name>_test.c: a cmocka program each, linked with its folder and those before it.
# They report in TAP, so that test/run can count single functions.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(unit_tests folder library)
	file(GLOB tests CONFIGURE_DEPENDS test/unit/${folder}/*_test.c)
	foreach(source IN LISTS tests)
		get_filename_component(name ${source} NAME_WE)
		set(target unit_${folder}_${name})
		add_executable(${target} ${source})
		set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
		target_include_directories(${target} PRIVATE test/unit)
		target_link_libraries(${target} PRIVATE ${library} PkgConfig::CMOCKA)
		target_compile_definitions(${target} PRIVATE TEST_DATA="${CMAKE_SOURCE_DIR}/test/case")
		add_test(NAME unit/${folder}/${name} COMMAND ${target})
		set_tests_properties(unit/${folder}/${name} PROPERTIES TIMEOUT 900 ENVIRONMENT CMOCKA_MESSAGE_OUTPUT=TAP)
	endforeach()
endfunction()

foreach(folder IN LISTS folders)
	if(TARGET sluice_${folder})
		unit_tests(${folder} sluice_${folder})
	endif()
endforeach()
if(TARGET sluice_mock_parts)
	unit_tests(mock sluice_mock_parts)
endif()

# The house rules: folders, includes, lengths, banned functions. Speaks TAP as well.
add_test(NAME tidy COMMAND ${CMAKE_SOURCE_DIR}/test/tidy)
