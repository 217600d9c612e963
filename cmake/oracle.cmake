# Judges that are libraries we did not write: include this after tests.cmake. Where one is missing, its test says so
# and counts as skipped.
set(yyjson ${SLUICE_DEPS}/yyjson)
if(TARGET unit_base_json_oracle_test)
	set_tests_properties(unit/base/json_oracle_test PROPERTIES SKIP_RETURN_CODE 77)
	if(EXISTS ${yyjson}/include/yyjson.h AND EXISTS ${yyjson}/lib/libyyjson.so)
		target_compile_definitions(unit_base_json_oracle_test PRIVATE SLUICE_YYJSON)
		target_include_directories(unit_base_json_oracle_test SYSTEM PRIVATE ${yyjson}/include)
		target_link_libraries(unit_base_json_oracle_test PRIVATE ${yyjson}/lib/libyyjson.so)
		set_target_properties(unit_base_json_oracle_test PROPERTIES BUILD_RPATH ${yyjson}/lib)
	endif()
endif()
