"""The contract is KEDA's, at every version that still runs somewhere."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

from keda_external_scaler.contract.externalscaler_pb2 import DESCRIPTOR
from tests.servers.keda import ACME, Scene, connected, poll, scaled_object, serving
from tools.generate_contract import stale_files

SERVICE = "/externalscaler.ExternalScaler/"

MESSAGES_2_16 = {
    "ScaledObjectRef": {"name": (1, "string"), "namespace": (2, "string"), "scalerMetadata": (3, "map")},
    "IsActiveResponse": {"result": (1, "bool")},
    "GetMetricSpecResponse": {"metricSpecs": (1, "MetricSpec*")},
    "MetricSpec": {"metricName": (1, "string"), "targetSize": (2, "int64")},
    "GetMetricsRequest": {"scaledObjectRef": (1, "ScaledObjectRef"), "metricName": (2, "string")},
    "GetMetricsResponse": {"metricValues": (1, "MetricValue*")},
    "MetricValue": {"metricName": (1, "string"), "metricValue": (2, "int64")},
}
MESSAGES_2_20_2 = MESSAGES_2_16 | {
    "MetricSpec": MESSAGES_2_16["MetricSpec"] | {"targetSizeFloat": (3, "double")},
    "MetricValue": MESSAGES_2_16["MetricValue"] | {"metricValueFloat": (3, "double")},
}
CALLS_2_20_2 = {
    "IsActive": ("ScaledObjectRef", "IsActiveResponse"),
    "StreamIsActive": ("ScaledObjectRef", "IsActiveResponse*"),
    "GetMetricSpec": ("ScaledObjectRef", "GetMetricSpecResponse"),
    "GetMetrics": ("GetMetricsRequest", "GetMetricsResponse"),
}
CALLS_MAIN = CALLS_2_20_2 | {"StreamMetricSpec": ("ScaledObjectRef", "GetMetricSpecResponse*")}
VERSIONS = {
    "2.16": (MESSAGES_2_16, CALLS_2_20_2),
    "2.20.2": (MESSAGES_2_20_2, CALLS_2_20_2),
    "main": (MESSAGES_2_20_2, CALLS_MAIN),
}

_TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_DOUBLE: "double",
}


def _type(field: FieldDescriptor) -> str:
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return _TYPES[field.type]
    if field.message_type.GetOptions().map_entry:
        return "map"
    return field.message_type.name + ("*" if field.is_repeated else "")


def _messages(file: FileDescriptor) -> dict[str, dict[str, tuple[int, str]]]:
    return {
        name: {field.name: (field.number, _type(field)) for field in message.fields}
        for name, message in file.message_types_by_name.items()
    }


def _calls(file: FileDescriptor) -> dict[str, tuple[str, str]]:
    return {
        call.name: (call.input_type.name, call.output_type.name + ("*" if call.server_streaming else ""))
        for call in file.services_by_name["ExternalScaler"].methods
    }


def test_the_committed_code_is_what_the_contract_makes():
    assert stale_files() == []


def test_the_contract_equals_that_of_kedas_main():
    assert DESCRIPTOR.package == "externalscaler"
    assert _messages(DESCRIPTOR) == MESSAGES_2_20_2
    assert _calls(DESCRIPTOR) == CALLS_MAIN


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_speaks_a_part_of_our_contract(version):
    golden_messages, golden_calls = VERSIONS[version]
    ours = _messages(DESCRIPTOR)
    for name, fields in golden_messages.items():
        assert fields.items() <= ours[name].items()
    assert golden_calls.items() <= _calls(DESCRIPTOR).items()


def _classes_of_2_16() -> dict[str, type[Message]]:
    """Message classes as a client has them that was built before the floating-point fields."""
    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="externalscaler", syntax="proto3")
    proto = descriptor_pb2.FieldDescriptorProto
    kinds = {"string": proto.TYPE_STRING, "bool": proto.TYPE_BOOL, "int64": proto.TYPE_INT64}
    for name, fields in MESSAGES_2_16.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number, label=proto.LABEL_OPTIONAL)
            if kind in kinds:
                field.type = kinds[kind]
            elif kind == "map":
                entry = message.nested_type.add(name="ScalerMetadataEntry")
                entry.options.map_entry = True
                for n, key in enumerate(("key", "value"), 1):
                    entry.field.add(name=key, number=n, type=proto.TYPE_STRING, label=proto.LABEL_OPTIONAL)
                field.label = proto.LABEL_REPEATED
                field.type_name = f".externalscaler.{name}.ScalerMetadataEntry"
            else:
                field.label = proto.LABEL_REPEATED if kind.endswith("*") else proto.LABEL_OPTIONAL
                field.type_name = f".externalscaler.{kind.removesuffix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"externalscaler.{name}"))
        for name in MESSAGES_2_16
    }


def test_a_client_without_floats_gets_the_same_number_of_replicas():
    old = _classes_of_2_16()
    scene = Scene()
    scene.publish(ACME)
    with serving(scene) as server, connected(server.port) as channel:
        reference = scaled_object()

        def call(name: str, request: Message, answer: str) -> Message:
            ask = channel.unary_unary(
                SERVICE + name, lambda message: message.SerializeToString(), old[answer].FromString
            )
            return ask(request)

        raw = reference.SerializeToString()
        old_reference = old["ScaledObjectRef"].FromString(raw)
        (spec,) = call("GetMetricSpec", old_reference, "GetMetricSpecResponse").metricSpecs
        request = old["GetMetricsRequest"](scaledObjectRef=old_reference, metricName=spec.metricName)
        (value,) = call("GetMetrics", request, "GetMetricsResponse").metricValues
        assert value.metricValue / spec.targetSize == poll(channel, reference).replicas == ACME.answer
