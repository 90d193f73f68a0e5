"""Proto trees that break rules, each with those rules on purpose; the first line names the file.

Every rule is broken in at least one of them, and both linters see all of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """Files by name, the rules that they break, and what buf.yaml says below its version."""

    files: dict[str, str]
    breaks: set[str]
    config: str = ""


ALL = "lint: {use: [STANDARD, COMMENTS, UNARY_RPC, STABLE_PACKAGE_NO_IMPORT_UNSTABLE]}\n"
HEAD = 'syntax = "proto3";\npackage a.v1;\n'

NAMES = (
    HEAD
    + """
message order_line {
  message inner { string Name = 1; }
  string orderID = 1;
  optional int32 HTTPCode = 2;
  map<string, inner> theMap = 3;
  oneof theChoice { string a1b2 = 4; inner A = 5; }
  enum state { unknown = 0; STATE_oneTwo = 1; STATE__TWO = 2; }
}
enum Plain_Enum {
  PLAIN_ENUM_NOTHING = 0;
  PLAIN_ENUM_ONE = 1;
}
service pay { rpc do_it(DoItRequest) returns (DoItResponse); rpc Again(PayAgainRequest) returns (AgainAnswer); }
message DoItRequest {} message DoItResponse {} message PayAgainRequest {} message AgainAnswer {}
"""
)

PROTO2 = """package a.v1;

message Old {
  required string name = 1;
  optional group Result = 2 { required int32 Code = 1; }
  extensions 100 to 200;
  extend Old { optional string Nested_Ext = 101; }
}
extend Old {
  optional int32 topExt = 100;
  repeated group More = 102 { optional int32 x = 1; }
}
enum First { FIRST_ONE = 1; FIRST_ZERO = 0; }
enum Alias {
  option allow_alias = true;
  ALIAS_UNSPECIFIED = 0;
  ALIAS_ONE = 1; ALIAS_UNO = 1;
}
"""

EDITION = """edition = "2023";
package a.v1;
option features.field_presence = IMPLICIT;
message M {
  string name = 1 [features.field_presence = LEGACY_REQUIRED];
  M Child = 2 [features.message_encoding = DELIMITED];
}
enum Closed { option features.enum_type = CLOSED; CLOSED_ONE = 1; }
"""

COMMENTS = (
    HEAD
    + """
// Explained.
message Explained {
  // Explained.
  string a = 1;
  string b = 2; // Trailing is not enough.
  /* Block. */
  string c = 3;
  //
  string d = 4;
  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE
  string e = 5;
  // Detached.

  string f = 6;
  oneof g { string h = 7; }
  // Map.
  map<string, string> i = 8;
  optional string j = 9;
}
enum E { E_UNSPECIFIED = 0; }
service SService { rpc X(XRequest) returns (stream XResponse); rpc Y(stream YRequest) returns (YResponse); }
message XRequest {} message XResponse {}
message YRequest {} message YResponse {}
"""
)

EXCUSED = """// buf:lint:ignore PACKAGE_VERSION_SUFFIX
syntax = "proto3";
// buf:lint:ignore PACKAGE_DIRECTORY_MATCH
// buf:lint:ignore PACKAGE_VERSION_SUFFIX
package b;
// buf:lint:ignore IMPORT_USED
import "google/protobuf/any.proto";
import "google/protobuf/empty.proto"; // buf:lint:ignore IMPORT_USED
// buf:lint:ignore MESSAGE_PASCAL_CASE and why
// buf:lint:ignore FIELD_LOWER_SNAKE_CASE, ONEOF_LOWER_SNAKE_CASE
message one_message {
  string A = 1;
  oneof B { string C = 2; }
  // buf:lint:ignore ENUM_VALUE_PREFIX
  enum in_ner {
    // buf:lint:ignore ENUM_ZERO_VALUE_SUFFIX
    x = 0;
    /* buf:lint:ignore ENUM_VALUE_UPPER_SNAKE_CASE */
    y = 1;
    z = 2;
  }
  // buf:lint:ignoreMESSAGE_PASCAL_CASE
  message two_message { string A = 1; }
}
message three_message {}
// buf:lint:ignore SERVICE_SUFFIX
// buf:lint:ignore RPC_REQUEST_RESPONSE_UNIQUE
service S {
  // buf:lint:ignore RPC_REQUEST_STANDARD_NAME
  rpc A(one_message) returns (one_message);
  rpc B(three_message) returns (three_message);
}
"""

PLACES = (
    HEAD
    + """/* é */ message tab_message { string A = 1;	string B = 2;
	string C = 3;
    /* ünï	cödé */ string D = 4;
\t\trepeated
\t\tstring
\tE
\t= 5;  }
enum  Wide_Enum	{	WIDE_ENUM_A	=	0	; /* 世界 e\u0301 👍 */ b = 1; }
"""
)

OPTIONS = """syntax = "proto2";
package a.v1;
// buf:lint:ignore PACKAGE_SAME_GO_PACKAGE
option java_package = "j";
// buf:lint:ignore PACKAGE_SAME_JAVA_PACKAGE
option go_package = "g";
// buf:lint:ignore ENUM_VALUE_PREFIX
enum E {
  // buf:lint:ignore ENUM_NO_ALLOW_ALIAS
  option deprecated = true;
  option allow_alias = true;
  A = 0; B = 0;
}
message M { extensions 10 to 20; }
// buf:lint:ignore FIELD_LOWER_SNAKE_CASE
extend M { optional string One = 10; }
extend M { optional string Two = 11; }
extend M {
  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE
  optional string Three = 12;
}
message N { optional string Eight = 1;
  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE
  extend M { optional string Four = 13; }
  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE
  repeated group Five = 14 { optional string Six = 1; }
  extensions 100;
  extend N { optional string Seven = 100; }
}
"""

SHARED = (
    HEAD
    + """import "google/protobuf/empty.proto";
service UService {
  rpc One(google.protobuf.Empty) returns (google.protobuf.Empty);
  rpc Two(google.protobuf.Empty) returns (TwoResponse);
  rpc Three(ThreeRequest) returns (google.protobuf.Empty);
  rpc Four(Same) returns (Same);
  rpc Five(ThreeRequest) returns (TwoResponse);
}
message TwoResponse {} message ThreeRequest {} message Same {}
"""
)
SHARED_RULES = {"RPC_REQUEST_RESPONSE_UNIQUE"}


def _with(options: str) -> str:
    return f"lint: {{use: [STANDARD], {options}}}\n"


CASES = {
    "names": Case(
        {"a/v1/a.proto": NAMES, "a/v1/MixedCase-file.proto": HEAD},
        {
            "MESSAGE_PASCAL_CASE",
            "ENUM_PASCAL_CASE",
            "SERVICE_PASCAL_CASE",
            "RPC_PASCAL_CASE",
            "FIELD_LOWER_SNAKE_CASE",
            "ONEOF_LOWER_SNAKE_CASE",
            "ENUM_VALUE_UPPER_SNAKE_CASE",
            "ENUM_VALUE_PREFIX",
            "ENUM_ZERO_VALUE_SUFFIX",
            "SERVICE_SUFFIX",
            "RPC_RESPONSE_STANDARD_NAME",
            "FILE_LOWER_SNAKE_CASE",
        },
    ),
    "proto2": Case(
        {"a/v1/a.proto": PROTO2},
        {
            "SYNTAX_SPECIFIED",
            "FIELD_NOT_REQUIRED",
            "ENUM_FIRST_VALUE_ZERO",
            "ENUM_NO_ALLOW_ALIAS",
            "FIELD_LOWER_SNAKE_CASE",
        },
    ),
    "edition": Case({"a/v1/a.proto": EDITION}, {"FIELD_NOT_REQUIRED", "ENUM_FIRST_VALUE_ZERO"}),
    "comments": Case(
        {"a/v1/a.proto": COMMENTS, "a/v1/b.proto": PROTO2.replace("a.v1;", "a.v1; // x")},
        {
            "COMMENT_MESSAGE",
            "COMMENT_FIELD",
            "COMMENT_ONEOF",
            "COMMENT_ENUM",
            "COMMENT_ENUM_VALUE",
            "COMMENT_SERVICE",
            "COMMENT_RPC",
            "RPC_NO_CLIENT_STREAMING",
            "RPC_NO_SERVER_STREAMING",
        },
        ALL,
    ),
    "excused": Case(
        {"a/v1/a.proto": EXCUSED},
        {"IMPORT_USED", "MESSAGE_PASCAL_CASE", "RPC_REQUEST_STANDARD_NAME"},
    ),
    "not excused": Case(
        {"a/v1/a.proto": EXCUSED},
        {"PACKAGE_VERSION_SUFFIX", "PACKAGE_DIRECTORY_MATCH"},
        _with("disallow_comment_ignores: true"),
    ),
    "comments, not excused": Case(
        {"a/v1/a.proto": COMMENTS},
        {"COMMENT_FIELD"},
        ALL.replace("}", ", disallow_comment_ignores: true}"),
    ),
    "options": Case(
        {"a/v1/a.proto": OPTIONS, "a/v1/b.proto": HEAD},
        {"ENUM_NO_ALLOW_ALIAS", "PACKAGE_SAME_GO_PACKAGE", "FIELD_LOWER_SNAKE_CASE"},
    ),
    "places": Case({"a/v1/a.proto": PLACES}, {"FIELD_LOWER_SNAKE_CASE", "MESSAGE_PASCAL_CASE"}),
    "packages": Case(
        {
            "a/v1/a.proto": HEAD
            + 'option go_package = "x";\noption java_multiple_files = true;\n'
            + 'option java_package = "a";\n',
            "a/v1/b.proto": HEAD
            + 'option go_package = "y";\noption java_multiple_files = false;\n'
            + 'option ruby_package = "r";\noption swift_prefix = "";\n',
            "a/v1/c.proto": 'syntax = "proto3";\npackage a.c.v1;\n',
            "a/v1/d.proto": 'syntax = "proto3";\n',
            "b/e.proto": HEAD
            + 'option php_namespace = "p";\n// buf:lint:ignore PACKAGE_SAME_SWIFT_PREFIX\n'
            + 'option swift_prefix = "S";\noption csharp_namespace = "C";\n',
            "Big/Case/v1beta1/f.proto": 'syntax = "proto3";\npackage Big.Case.v1beta1;\n',
            "top.proto": 'syntax = "proto3";\n',
        },
        {
            "PACKAGE_DEFINED",
            "PACKAGE_DIRECTORY_MATCH",
            "PACKAGE_SAME_DIRECTORY",
            "DIRECTORY_SAME_PACKAGE",
            "PACKAGE_LOWER_SNAKE_CASE",
            "PACKAGE_SAME_GO_PACKAGE",
            "PACKAGE_SAME_JAVA_MULTIPLE_FILES",
            "PACKAGE_SAME_JAVA_PACKAGE",
            "PACKAGE_SAME_RUBY_PACKAGE",
            "PACKAGE_SAME_SWIFT_PREFIX",
            "PACKAGE_SAME_PHP_NAMESPACE",
            "PACKAGE_SAME_CSHARP_NAMESPACE",
        },
    ),
    "versions": Case(
        {
            f"{package.replace('.', '/')}/x.proto": f'syntax = "proto3";\npackage {package};\n'
            for package in (
                "a",
                "v1",
                "a.v1",
                "a.v0",
                "a.v01",
                "a.v1test",
                "a.v1testfoo",
                "a.v1alpha",
                "a.v1beta2",
                "a.v1p1",
                "a.v1p1alpha1",
                "a.v1p0beta1",
                "a.v1alphabeta",
                "a.v1alpha0",
                "a.v1_1",
                "a.V1",
                "a.v",
                "a.vtest",
                "a.v1beta1test",
            )
        },
        {"PACKAGE_VERSION_SUFFIX"},
    ),
    "imports": Case(
        {
            "a/v1/a.proto": HEAD + 'import public "a/v1/b.proto";\nimport "c/v1/c.proto";\n'
            'import "d/v1beta1/d.proto";\nimport "google/protobuf/descriptor.proto";\n'
            "extend google.protobuf.FieldOptions { c.v1.C mark = 50000; }\n"
            "message A { d.v1beta1.D d = 1; }\n",
            "a/v1/b.proto": HEAD + "message B {}\n",
            "a/v1/e.proto": HEAD + 'import "a/v1/a.proto";\nimport "google/protobuf/any.proto";\n'
            "message E { B b = 1; string x = 2 [(mark).name = 'x']; }\n",
            "a/v1/f.proto": HEAD
            + 'import "a/v1/a.proto";\n message F { string x = 2 [(mark) = {}]; }\n',
            "c/v1/c.proto": 'syntax = "proto3";\npackage c.v1;\nimport "d/v1beta1/d.proto";\n'
            "message C { string name = 1; d.v1beta1.D d = 2; }\n",
            "d/v1beta1/d.proto": 'syntax = "proto3";\npackage d.v1beta1;\nimport "a/v1/b.proto";\n'
            "message D { a.v1.B b = 1; }\n",
        },
        {
            "IMPORT_NO_PUBLIC",
            "IMPORT_USED",
            "PACKAGE_NO_IMPORT_CYCLE",
            "STABLE_PACKAGE_NO_IMPORT_UNSTABLE",
        },
        ALL,
    ),
    "shared": Case({"a/v1/a.proto": SHARED}, {*SHARED_RULES, "RPC_REQUEST_STANDARD_NAME"}),
    "shared, same allowed": Case(
        {"a/v1/a.proto": SHARED}, SHARED_RULES, _with("rpc_allow_same_request_response: true")
    ),
    "shared, empty requests": Case(
        {"a/v1/a.proto": SHARED},
        SHARED_RULES,
        _with("rpc_allow_google_protobuf_empty_requests: true"),
    ),
    "shared, empty responses": Case(
        {"a/v1/a.proto": SHARED},
        SHARED_RULES,
        _with("rpc_allow_google_protobuf_empty_responses: true"),
    ),
    "shared, both empty": Case(
        {"a/v1/a.proto": SHARED},
        SHARED_RULES,
        _with(
            "rpc_allow_google_protobuf_empty_requests: true, "
            "rpc_allow_google_protobuf_empty_responses: true"
        ),
    ),
    "suffixes": Case(
        {"a/v1/a.proto": NAMES},
        {"SERVICE_SUFFIX", "ENUM_ZERO_VALUE_SUFFIX"},
        _with("service_suffix: API, enum_zero_value_suffix: _NOTHING"),
    ),
    "paths ignored": Case(
        {
            "a/v1/a.proto": NAMES,
            "a/v1/b.proto": PROTO2,
            "c/v1/c.proto": PROTO2.replace("a.v1", "c.v1"),
        },
        {"FIELD_NOT_REQUIRED"},
        _with(
            "except: [SERVICE_SUFFIX, MINIMAL], ignore: [c], "
            "ignore_only: {ENUM_PASCAL_CASE: [a/v1/a.proto], SYNTAX_SPECIFIED: [a]}"
        ),
    ),
    "modules": Case(
        {"one/a/v1/a.proto": NAMES, "one/x/x.proto": PROTO2, "two/b/v1/b.proto": EDITION},
        {"FIELD_NOT_REQUIRED", "MESSAGE_PASCAL_CASE"},
        "modules:\n  - {path: one, excludes: [one/x], lint: {use: [BASIC]}}\n  - path: two\n"
        "lint: {use: [STANDARD], except: [PACKAGE_DIRECTORY_MATCH]}\n",
    ),
    "modules in a circle": Case(
        {
            "one/a/v1/a.proto": HEAD + 'import "b/v1/b.proto";\nmessage A { b.v1.B b = 1; }\n',
            "one/a/v1/c.proto": HEAD + "message C {}\n",
            "two/b/v1/b.proto": HEAD.replace("a.", "b.") + "message B {}\n",
            "two/b/v1/d.proto": HEAD.replace("a.", "b.")
            + 'import "a/v1/c.proto";\nmessage D { a.v1.C c = 1; }\n',
            "two/b/v1/e.proto": HEAD.replace("a.", "b.")
            + 'import "a/v1/a.proto";\nmessage E { a.v1.A a = 1; }\n',
        },
        {"PACKAGE_NO_IMPORT_CYCLE"},
        "modules: [{path: one}, {path: two}]\n",
    ),
    "clean": Case({"a/v1/a.proto": HEAD + "message M { string name = 1; }\n"}, set()),
}
