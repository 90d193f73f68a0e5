"""Changes of protos, and the rules that each breaks.

A case is a file before and after, in a folder and a package of its own, so that all cases together
are two trees that one run compares. `None` is a file that is not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """One change; files are named without folder, bodies get a proto3 header unless they have one.

    `NAME` in a body is the package of the case.
    """

    before: dict[str, str]
    after: dict[str, str]
    fires: set[str]


def case(before: str, after: str, *fires: str) -> Case:
    """A change of one file."""
    return Case({"it.proto": before}, {"it.proto": after}, set(fires))


PROTO2 = 'syntax = "proto2";\npackage NAME;\n'
PROTO3 = 'syntax = "proto3";\npackage NAME;\n'
EDITION = 'edition = "2023";\npackage NAME;\n'
CUSTOM = 'edition = "2023";\npackage NAME;\nimport "google/protobuf/FILE_features.proto";\n'

DELETED_FIELD = (
    "FIELD_NO_DELETE",
    "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
    "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
)
DELETED_VALUE = (
    "ENUM_VALUE_NO_DELETE",
    "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
    "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
)
OTHER_TYPE = (
    "FIELD_SAME_TYPE",
    "FIELD_WIRE_COMPATIBLE_TYPE",
    "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
)
OTHER_CARDINALITY = (
    "FIELD_SAME_CARDINALITY",
    "FIELD_WIRE_COMPATIBLE_CARDINALITY",
    "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
)
GONE_MESSAGE = ("MESSAGE_NO_DELETE", "PACKAGE_MESSAGE_NO_DELETE")

TREE: dict[str, Case] = {
    "harmless": case(
        "message M { string a = 1; }\nenum E { E_ZERO = 0; }",
        "// A comment.\nenum E { E_ZERO = 0; E_NEW = 1; }\n"
        "message M { string a = 1; int32 b = 2; message Inner {} }\nmessage New {}",
    ),
    "file_deleted": Case(
        {"kept.proto": "message K {}", "gone.proto": "message G {}\nenum E { E_ZERO = 0; }"},
        {"kept.proto": "message K {}"},
        {"FILE_NO_DELETE", "PACKAGE_MESSAGE_NO_DELETE", "PACKAGE_ENUM_NO_DELETE"},
    ),
    "file_moved": Case(
        {"old.proto": "message M {}\nservice S {}"},
        {"new.proto": "message M {}\nservice S {}"},
        {"FILE_NO_DELETE"},
    ),
    "package_deleted": Case(
        {"b.proto": "message M {}", "a.proto": "message N {}"},
        {},
        {"FILE_NO_DELETE", "PACKAGE_NO_DELETE"},
    ),
    "package_changed": case(
        "message M {}",
        'syntax = "proto3";\n\npackage NAME.v2;\nmessage M {}',
        "FILE_SAME_PACKAGE",
        "PACKAGE_NO_DELETE",
    ),
    "moved_within_package": Case(
        {"a.proto": "message A { message In {} }\nenum E { E_ZERO = 0; }", "b.proto": ""},
        {"a.proto": "", "b.proto": "message A { message In {} }\nenum E { E_ZERO = 0; }"},
        {"MESSAGE_NO_DELETE", "ENUM_NO_DELETE"},
    ),
    "nested_deleted_elsewhere": Case(
        {"a.proto": "message A { message In { message Deep {} } }", "b.proto": ""},
        {"a.proto": "", "b.proto": "\nmessage A {}"},
        {*GONE_MESSAGE},
    ),
    "all_deleted": case(
        PROTO2 + "message M { extensions 100 to 200; enum E { E_ZERO = 0; } message In {} }\n"
        "enum E { F_ZERO = 0; }\nextend M { optional int32 x = 100; }\n"
        "service S { rpc R(M) returns (M); }",
        PROTO2 + "\nmessage M { extensions 100 to 200; }",
        *GONE_MESSAGE,
        "ENUM_NO_DELETE",
        "PACKAGE_ENUM_NO_DELETE",
        "EXTENSION_NO_DELETE",
        "PACKAGE_EXTENSION_NO_DELETE",
        "SERVICE_NO_DELETE",
        "PACKAGE_SERVICE_NO_DELETE",
    ),
    "enum_deleted": case(
        "message M { enum E { E_ZERO = 0; } enum F { F_ZERO = 0; } }",
        "\nmessage M { enum F { F_ZERO = 0; } }",
        "ENUM_NO_DELETE",
        "PACKAGE_ENUM_NO_DELETE",
    ),
    "nested_extension_deleted": case(
        PROTO2 + "message M { extensions 100 to 200; extend M { optional int32 x = 100; } }",
        PROTO2 + "\n  message M { extensions 100 to 200; }",
        "EXTENSION_NO_DELETE",
        "PACKAGE_EXTENSION_NO_DELETE",
    ),
}

FILES: dict[str, Case] = {
    "syntax": case(
        PROTO2 + "message M { optional string s = 1; }\nenum E { E_ZERO = 0; }",
        PROTO3 + "message M { optional string s = 1; }\nenum E { E_ZERO = 0; }",
        "FILE_SAME_SYNTAX",
        "ENUM_SAME_TYPE",
        "FIELD_SAME_UTF8_VALIDATION",
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
    ),
    "syntax_to_edition": case(
        PROTO3 + "message M { string s = 1; }",
        EDITION + "message M { string s = 1; }",
        "FILE_SAME_SYNTAX",
        "FIELD_SAME_CARDINALITY",
    ),
    "no_syntax_is_proto2": case("package NAME;", PROTO2),
    "editions": case(EDITION + "message M {}", 'edition = "2024";\npackage NAME;\nmessage M {}'),
    "options_set": case(
        "",
        'option cc_enable_arenas = false;\noption csharp_namespace = "N";\n'
        'option go_package = "g";\noption java_multiple_files = true;\n'
        'option java_outer_classname = "O";\noption java_package = "j";\n'
        'option objc_class_prefix = "OBJ";\noption optimize_for = LITE_RUNTIME;\n'
        'option php_class_prefix = "P";\noption php_metadata_namespace = "PM";\n'
        'option php_namespace = "PN";\noption ruby_package = "R";\noption swift_prefix = "S";\n'
        "option cc_generic_services = true;\noption java_generic_services = true;\n"
        "option py_generic_services = true;\n",
        "FILE_SAME_CC_ENABLE_ARENAS",
        "FILE_SAME_CC_GENERIC_SERVICES",
        "FILE_SAME_CSHARP_NAMESPACE",
        "FILE_SAME_GO_PACKAGE",
        "FILE_SAME_JAVA_GENERIC_SERVICES",
        "FILE_SAME_JAVA_MULTIPLE_FILES",
        "FILE_SAME_JAVA_OUTER_CLASSNAME",
        "FILE_SAME_JAVA_PACKAGE",
        "FILE_SAME_OBJC_CLASS_PREFIX",
        "FILE_SAME_OPTIMIZE_FOR",
        "FILE_SAME_PHP_CLASS_PREFIX",
        "FILE_SAME_PHP_METADATA_NAMESPACE",
        "FILE_SAME_PHP_NAMESPACE",
        "FILE_SAME_PY_GENERIC_SERVICES",
        "FILE_SAME_RUBY_PACKAGE",
        "FILE_SAME_SWIFT_PREFIX",
    ),
    "option_unset": case('option java_package = "j";', "", "FILE_SAME_JAVA_PACKAGE"),
    "option_set_to_its_default": case("", "option optimize_for = SPEED;"),
}

MESSAGES: dict[str, Case] = {
    "field_deleted": case(
        "message M { string a = 1; int32 b = 2; }", "message M {\n string a = 1; }", *DELETED_FIELD
    ),
    "field_deleted_number_reserved": case(
        "message M { string a = 1; }",
        "message M { reserved 1; }",
        "FIELD_NO_DELETE",
        "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
    ),
    "field_deleted_name_reserved": case(
        "message M { string a = 1; }",
        'message M { reserved "a"; }',
        "FIELD_NO_DELETE",
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
    ),
    "oneof_deleted": case(
        "message M { oneof o { string a = 1; string b = 2; } }",
        "message M { string a = 1; string b = 2; }",
        "ONEOF_NO_DELETE",
        "FIELD_SAME_ONEOF",
        "FIELD_SAME_CARDINALITY",
    ),
    "synthetic_oneof_deleted": case(
        "message M { optional string a = 1; }",
        "message M { string a = 1; }",
        "FIELD_SAME_CARDINALITY",
    ),
    "required_deleted": case(
        PROTO2 + "message M { required int32 a = 1; }",
        PROTO2 + "message M { reserved 1; }",
        "MESSAGE_SAME_REQUIRED_FIELDS",
        "FIELD_NO_DELETE",
        "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
    ),
    "required_added": case(
        PROTO2 + "message M {}",
        PROTO2 + "message M {\n  required int32 a = 1; }",
        "MESSAGE_SAME_REQUIRED_FIELDS",
    ),
    "json_format": case(
        EDITION + "message M { message In {} }",
        EDITION + "message M {\n  option features.json_format = LEGACY_BEST_EFFORT;\n"
        "  message In {} }",
        "MESSAGE_SAME_JSON_FORMAT",
    ),
    "json_format_gained": case(
        PROTO2 + "message M {}", PROTO3 + "message M {}", "FILE_SAME_SYNTAX"
    ),
    "descriptor_accessor": case(
        "message M {}",
        "message M {\n  option no_standard_descriptor_accessor = true; }",
        "MESSAGE_NO_REMOVE_STANDARD_DESCRIPTOR_ACCESSOR",
    ),
    "extension_range": case(
        PROTO2 + "message M { extensions 100 to 200; extensions 300 to max; }",
        PROTO2 + "message M { extensions 100 to 149, 151 to 250; }",
        "EXTENSION_MESSAGE_NO_DELETE",
    ),
    "reserved": case(
        'message M { reserved 1 to 5, 9; reserved "a", "b"; }',
        'message M { reserved 2 to 3, 4, 9; reserved "b"; }',
        "RESERVED_MESSAGE_NO_DELETE",
    ),
    "reserved_joined": case(
        "message M { reserved 1 to 5; }", "message M { reserved 1, 3 to 9, 2; }"
    ),
}

FIELDS: dict[str, Case] = {
    "field_renamed": case(
        "message M { string old_name = 1; }",
        "message M {\n  string new_name = 1; }",
        "FIELD_SAME_NAME",
        "FIELD_SAME_JSON_NAME",
    ),
    "json_name": case(
        "message M { string a = 1; }",
        'message M {\n  string a = 1 [json_name = "b"]; }',
        "FIELD_SAME_JSON_NAME",
    ),
    "moved_between_oneofs": case(
        "message M { oneof a { string x = 1; string y = 2; } oneof b { string z = 3; } }",
        "message M { oneof a { string x = 1; } oneof b { string z = 3; string y = 2; } }",
        "FIELD_SAME_ONEOF",
    ),
    "moved_into_oneof": case(
        "message M { string x = 1; optional string y = 2; }",
        "message M { oneof o {\n string x = 1; string y = 2; } }",
        "FIELD_SAME_ONEOF",
        "FIELD_SAME_CARDINALITY",
    ),
    "default": case(
        PROTO2 + "enum E { E_ONE = 1; E_TWO = 2; }\nmessage M {\n"
        '  optional int32 a = 1; optional string b = 2 [default = "x"];\n'
        "  optional E c = 3; optional double d = 4 [default = 0.1];\n"
        '  optional bool e = 5 [default = false]; optional bytes f = 6 [default = "\\001"];\n'
        "  optional double g = 7 [default = nan]; optional float h = 8 [default = 1e30]; }",
        PROTO2 + "enum E { E_ONE = 1; E_TWO = 2; }\nmessage M {\n"
        "  optional int32 a = 1 [default = 5]; optional string b = 2;\n"
        "  optional E c = 3 [default = E_TWO]; optional double d = 4 [default = 0.2];\n"
        '  optional bool e = 5; optional bytes f = 6 [default = "\\002"];\n'
        "  optional double g = 7 [default = nan]; optional float h = 8 [default = 1e30]; }",
        "FIELD_SAME_DEFAULT",
    ),
    "default_across_types": case(
        PROTO2 + "message M { optional float a = 1 [default = 0.1];\n"
        '  optional string b = 2 [default = "x"]; optional int32 c = 3 [default = 1]; }',
        PROTO2 + "message M { optional double a = 1 [default = 0.1];\n"
        '  optional bytes b = 2 [default = "x"]; optional bool c = 3 [default = true]; }',
        *OTHER_TYPE,
    ),
    "default_by_order_of_values": case(
        PROTO2 + "enum E { E_ONE = 1; E_TWO = 2; }\nmessage M { optional E e = 1; }",
        PROTO2 + "enum E { E_TWO = 2; E_ONE = 1; }\nmessage M { optional E e = 1; }",
        "FIELD_SAME_DEFAULT",
    ),
    "default_by_an_import": Case(
        {
            "enum.proto": PROTO2 + "enum E { E_ONE = 1; E_TWO = 2; }",
            "it.proto": PROTO2 + 'import "NAME/enum.proto";\nmessage M { optional E e = 1; }',
        },
        {
            "enum.proto": PROTO2 + "enum E { E_TWO = 2; E_ONE = 1; }",
            "it.proto": PROTO2 + 'import "NAME/enum.proto";\nmessage M { optional E e = 1; }',
        },
        {"FIELD_SAME_DEFAULT"},
    ),
    "cardinality": case(
        "message M { string a = 1; repeated string b = 2; M c = 3; repeated M d = 4; }",
        "message M {\n  repeated string a = 1;\n string b = 2; repeated M c = 3; M d = 4; }",
        *OTHER_CARDINALITY,
    ),
    "presence_gained": case(
        "message M { string a = 1; }",
        "message M { optional string a = 1; }",
        "FIELD_SAME_CARDINALITY",
    ),
    "presence_by_feature": case(
        EDITION + "message M { string a = 1; string b = 2; }",
        EDITION + "message M { string a = 1 [features.field_presence = IMPLICIT];\n"
        "  string b = 2 [features.field_presence = LEGACY_REQUIRED]; }",
        *OTHER_CARDINALITY,
    ),
    "map_to_repeated": case(
        "message M { map<string, int32> a = 1; }",
        "message M { repeated Entry a = 1; message Entry { string key = 1; int32 value = 2; } }",
        *GONE_MESSAGE,
        "FIELD_SAME_CARDINALITY",
        "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
        *OTHER_TYPE,
    ),
    "map_value": case(
        "message M { map<string, int32> a = 1; map<int32, M> b = 2; }",
        "message M {\n  map<string, string> a = 1; map<int64, N> b = 2; }\nmessage N {}",
        *OTHER_TYPE,
    ),
    "type": case(
        "message M { int32 a = 1; string b = 2; M c = 3; bool d = 4; fixed32 e = 5; }",
        "message M {\n  string a = 1; M b = 2; N c = 3;\n  double d = 4; fixed64 e = 5; }\n"
        "message N {}",
        *OTHER_TYPE,
        "FIELD_SAME_CARDINALITY",
    ),
    "type_compatible": case(
        "message M { int32 a = 1; sint32 b = 2; fixed64 c = 3; int64 d = 4; }",
        "message M { uint32 a = 1; sint32 b = 2; sfixed64 c = 3; uint64 d = 4; }",
        "FIELD_SAME_TYPE",
    ),
    "type_compatible_on_the_wire": case(
        "message M { int32 a = 1; sint32 b = 2; string c = 3; bool d = 4; }",
        "message M { int64 a = 1; sint64 b = 2; bytes c = 3; uint64 d = 4; }",
        "FIELD_SAME_TYPE",
        "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
    ),
    "type_bytes_to_string": case(
        "message M { bytes a = 1; }", "message M { string a = 1; }", *OTHER_TYPE
    ),
    "enum_that_grew": case(
        "message M { message A { enum E { E_ZERO = 0; } } A.E e = 1; }",
        "message M { message A { enum E { E_ZERO = 0; } }\n"
        "  message B { enum E { E_ZERO = 0; E_ONE = 1; } } B.E e = 1; }",
        "FIELD_SAME_TYPE",
    ),
    "enum_that_shrank": case(
        "message M { message A { enum E { E_ZERO = 0; E_ONE = 1; } } A.E e = 1; A.E f = 2; }",
        "message M { message A { enum E { E_ZERO = 0; E_ONE = 1; } }\n"
        "  message B { enum E { E_ZERO = 0; } enum F { F_ZERO = 0; } } B.E e = 1; B.F f = 2; }",
        *OTHER_TYPE,
    ),
    "enum_that_grew_and_was_renamed": case(
        "message M { message A { enum E { E_ZERO = 0; } } A.E e = 1; }",
        "message M { message A { enum E { E_ZERO = 0; } }\n"
        "  message B { enum F { E_ZERO = 0; E_ONE = 1; } } B.F e = 1; }",
        *OTHER_TYPE,
    ),
    "enum_to_int": case(
        "message M { E e = 1; }\nenum E { E_ZERO = 0; }",
        "message M { int32 e = 1; }\nenum E { E_ZERO = 0; }",
        *OTHER_TYPE,
    ),
    "delimited": case(
        EDITION + "message M { M a = 1; map<string, M> b = 2; }",
        EDITION + "option features.message_encoding = DELIMITED;\n"
        "message M {\n  M a = 1; map<string, M> b = 2; }",
        *OTHER_TYPE,
    ),
    "group": case(
        PROTO2 + "message M { optional group G = 1 { optional int32 a = 1; } }",
        PROTO2 + "message M {\n  message G { optional int32 a = 1; }\n  optional G g = 1; }",
        *OTHER_TYPE,
    ),
    "group_renamed": case(
        PROTO2 + "message M { repeated group G = 1 { optional int32 a = 1; } }",
        PROTO2 + "message M {\n  repeated group H = 1 { optional int32 a = 1; } }",
        *OTHER_TYPE,
        *GONE_MESSAGE,
        "FIELD_SAME_NAME",
        "FIELD_SAME_JSON_NAME",
    ),
    "jstype": case(
        "message M { int64 a = 1; int64 b = 2 [jstype = JS_STRING]; }",
        "message M {\n  int64 a = 1 [jstype = JS_STRING]; int64 b = 2; }",
        "FIELD_SAME_JSTYPE",
    ),
    "ctype": case(
        "message M { string a = 1; bytes b = 2 [ctype = STRING_PIECE];"
        " string c = 3 [ctype = STRING_PIECE]; string d = 4 [ctype = CORD]; }",
        "message M { string a = 1 [ctype = CORD]; bytes b = 2;"
        " string c = 3 [ctype = CORD];\n  string d = 4; }",
        "FIELD_SAME_CPP_STRING_TYPE",
    ),
    "cpp_string_type": case(
        CUSTOM.replace("FILE", "cpp") + "message M { string a = 1; string b = 2; string c = 3; }",
        CUSTOM.replace("FILE", "cpp") + "message M {\n"
        "  string a = 1 [features.(pb.cpp).string_type = VIEW];\n"
        "  string b = 2 [features.(pb.cpp) = {string_type: CORD}];\n"
        "  string c = 3 [features = {[pb.cpp]: {string_type: VIEW}}]; }",
        "FIELD_SAME_CPP_STRING_TYPE",
    ),
    "cpp_string_type_of_the_file": case(
        CUSTOM.replace("FILE", "cpp") + "message M { map<string, string> a = 1; string b = 2; }",
        CUSTOM.replace("FILE", "cpp") + "option features.(pb.cpp).string_type = CORD;\n"
        "message M { map<string, string> a = 1; string b = 2; }",
        "FIELD_SAME_CPP_STRING_TYPE",
    ),
    "utf8": case(
        EDITION + "message M { string a = 1; string b = 2; }",
        EDITION + "message M {\n  string a = 1 [features.utf8_validation = NONE];\n"
        "  string b = 2 [features = {utf8_validation: NONE}]; }",
        "FIELD_SAME_UTF8_VALIDATION",
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
    ),
    "utf8_of_the_file": case(
        EDITION + "message M { string a = 1; map<string, string> m = 2; }",
        EDITION + "option features.utf8_validation = NONE;\n"
        "message M { string a = 1; map<string, string> m = 2; }",
        "FIELD_SAME_UTF8_VALIDATION",
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
    ),
    "java_utf8": case(
        PROTO2 + "message M { optional string a = 1; optional string b = 2; }",
        PROTO2 + "option java_string_check_utf8 = true;\n"
        "message M { optional string a = 1; optional string b = 2; }",
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
    ),
    "java_utf8_by_feature": case(
        CUSTOM.replace("FILE", "java") + "option features.utf8_validation = NONE;\n"
        "message M { string a = 1; }",
        CUSTOM.replace("FILE", "java") + "option features.utf8_validation = NONE;\n"
        "message M {\n  string a = 1 [features.(pb.java).utf8_validation = VERIFY]; }",
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
    ),
    "extension": case(
        PROTO2 + "message M { extensions 100 to 200; }\nmessage N {}\n"
        "extend M { optional int32 a = 100; optional M b = 101; optional string c = 102; }",
        PROTO2 + "message M { extensions 100 to 200; }\nmessage N {}\nextend M {\n"
        "  optional int32 renamed = 100; repeated N b = 101; optional int32 c = 102; }",
        "EXTENSION_NO_DELETE",
        "PACKAGE_EXTENSION_NO_DELETE",
        "FIELD_SAME_NAME",
        *OTHER_CARDINALITY,
        *OTHER_TYPE,
    ),
    "extension_to_edition": case(
        PROTO2 + "message M { extensions 100 to 200; }\nextend M { optional int32 a = 100; }",
        EDITION + "option features.field_presence = IMPLICIT;\n"
        "message M { extensions 100 to 200; }\nextend M { int32 a = 100; }",
        "FILE_SAME_SYNTAX",
    ),
}

ENUMS: dict[str, Case] = {
    "value_deleted": case(
        "enum E { E_ZERO = 0; E_ONE = 1; E_TWO = 2; }", "\nenum E { E_ZERO = 0; }", *DELETED_VALUE
    ),
    "value_deleted_number_reserved": case(
        "enum E { E_ZERO = 0; E_ONE = 1; }",
        "enum E { E_ZERO = 0; reserved 1; }",
        "ENUM_VALUE_NO_DELETE",
        "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
    ),
    "value_deleted_names_reserved": case(
        "enum E { option allow_alias = true; E_ZERO = 0; E_ONE = 1; E_EINS = 1; }",
        'enum E { E_ZERO = 0; reserved "E_ONE", "E_EINS"; }',
        "ENUM_VALUE_NO_DELETE",
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
    ),
    "value_renamed": case(
        "message M { enum E { E_ZERO = 0; E_ONE = 1; } }",
        "message M { enum E { E_ZERO = 0;\n  E_EINS = 1; } }",
        "ENUM_VALUE_SAME_NAME",
    ),
    "alias_swapped": case(
        "enum E { option allow_alias = true; E_ZERO = 0; E_ONE = 1; E_EINS = 1; }",
        "enum E { option allow_alias = true; E_ZERO = 0; E_ONE = 1;\n  E_UN = 1; }",
        "ENUM_VALUE_SAME_NAME",
    ),
    "alias_added": case(
        "enum E { E_ZERO = 0; }",
        "enum E { option allow_alias = true; E_ZERO = 0; E_NULL = 0; }",
    ),
    "closed": case(
        EDITION + "enum E { E_ZERO = 0; }\nenum F { F_ZERO = 0; }",
        EDITION + "enum E {\n  option features.enum_type = CLOSED; E_ZERO = 0; }\n"
        "enum F {\n  option features = {enum_type: CLOSED}; F_ZERO = 0; }",
        "ENUM_SAME_TYPE",
    ),
    "closed_by_the_file": case(
        EDITION + "message M { enum E { E_ZERO = 0; } }",
        EDITION + "option features.enum_type = CLOSED;\nmessage M { enum E { E_ZERO = 0; } }",
        "ENUM_SAME_TYPE",
    ),
    "enum_json_format": case(
        EDITION + "enum E { E_ZERO = 0; }",
        EDITION + "enum E {\n  option features.json_format = LEGACY_BEST_EFFORT; E_ZERO = 0; }",
        "ENUM_SAME_JSON_FORMAT",
    ),
    "enum_json_format_by_message": case(
        EDITION + "message M { enum E { E_ZERO = 0; } }",
        EDITION + "message M { option features.json_format = LEGACY_BEST_EFFORT;\n"
        "  enum E { E_ZERO = 0; } }",
        "ENUM_SAME_JSON_FORMAT",
        "MESSAGE_SAME_JSON_FORMAT",
    ),
    "enum_reserved": case(
        'enum E { E_ZERO = 0; reserved -5 to -1, 7; reserved "A"; }',
        "enum E { E_ZERO = 0; reserved -3 to -1; }",
        "RESERVED_ENUM_NO_DELETE",
    ),
}

SERVICES: dict[str, Case] = {
    "rpc_deleted": case(
        "message M {}\nservice S { rpc A(M) returns (M); rpc B(M) returns (M); }",
        "message M {}\nservice S {\n  rpc A(M) returns (M); }",
        "RPC_NO_DELETE",
    ),
    "rpc_types": case(
        "message M {}\nmessage N {}\nservice S { rpc A(M) returns (M); }",
        "message M {}\nmessage N {}\nservice S { rpc A(N)\n  returns (N); }",
        "RPC_SAME_REQUEST_TYPE",
        "RPC_SAME_RESPONSE_TYPE",
    ),
    "rpc_streams": case(
        "message M {}\nservice S { rpc A(M) returns (M); rpc B(stream M) returns (M); }",
        "message M {}\nservice S {\n  rpc A(M) returns (stream M); rpc B(M) returns (M); }",
        "RPC_SAME_CLIENT_STREAMING",
        "RPC_SAME_SERVER_STREAMING",
    ),
    "rpc_idempotency": case(
        "message M {}\nservice S { rpc A(M) returns (M);\n"
        "  rpc B(M) returns (M) { option idempotency_level = IDEMPOTENT; } }",
        "message M {}\nservice S {\n"
        "  rpc A(M) returns (M) {\n    option idempotency_level = NO_SIDE_EFFECTS; }\n"
        "  rpc B(M) returns (M); }",
        "RPC_SAME_IDEMPOTENCY_LEVEL",
    ),
}

CASES = TREE | FILES | MESSAGES | FIELDS | ENUMS | SERVICES


def write_side(root: Path, name: str, files: dict[str, str]) -> None:
    """One side of a case, below `root`."""
    for file, body in files.items():
        path = root / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = body if body.startswith(("syntax", "edition", "package")) else PROTO3 + body
        path.write_text(whole.replace("NAME", name), encoding="utf-8")
