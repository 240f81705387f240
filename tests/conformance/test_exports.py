"""What `freehold export` writes: valid by the formats' own schemas, and true: who reaches which database, and no secret."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml
from pydantic import BaseModel, SecretStr

from freehold import ConfigurationError, Objects, Service, System, public
from freehold.buses.kafka.address import Address
from freehold.cli.app import app
from freehold.deploy.config import Deployment, ServiceDeployment, read
from freehold.engines import open_engine
from freehold.operate import compose as compose_file
from freehold.operate import kubernetes as manifests
from freehold.operate.dockerfile import dockerfile
from freehold.operate.plan import Plan, plan, refer, secrets_in
from freehold.stores.objects import open_objects
from tests.servers import compose_spec

VERSIONS = ("1.28", "1.37")
PASSWORD = re.compile(r"\$\{(\w+)(:\?[^}]+)?\}")
GIVEN = "hunter2"
"""A password in the deployment itself, which must not get into any file."""


class Keys(BaseModel):
    api_key: SecretStr = SecretStr("")
    retries: int = 3


def shop() -> System:
    orders = Service("orders", database="orders_service_db", settings=[Keys])
    stock_room = Service("stock_room")

    @orders.get("/orders/{number}/invoice", access=public)
    async def invoice(number: int, objects: Objects) -> str: ...

    return System("my_shop", services=[orders, stock_room, Service("payments")])


DEPLOYMENTS = {
    "plain": Deployment(),
    "everything": Deployment(
        bus=f"amqp://admin:{GIVEN}@broker.internal",
        store=f"redis://:{GIVEN}@redis.internal",
        objects="s3://shop-files/orders?region=eu-north-1",
        services={"payments": ServiceDeployment(database=f"mysql://payments:{GIVEN}@db.internal/payments")},
    ),
}


def planned(name: str, *, external: bool = False) -> Plan:
    return plan(shop(), DEPLOYMENTS[name], named="shop.system:system", deploy="", external=external)


@pytest.fixture(params=DEPLOYMENTS)
def name(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


def composed(made: Plan) -> tuple[str, dict[str, Any]]:
    text = compose_file.compose(made, image="my-shop:7", port=8080)
    return text, yaml.safe_load(text)


def applied(made: Plan) -> tuple[str, list[dict[str, Any]]]:
    text = manifests.kubernetes(made, image="my-shop:7")
    return text, list(yaml.safe_load_all(text))


def of_kind(documents: Sequence[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def pod(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = document["spec"]["template"]["spec"]
    return spec


OWNERS = {"orders-db": "orders", "stock-room-db": "stock-room", "payments-db": "payments"}


# --- Compose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("external", [False, True])
def test_compose_is_what_the_specification_says(name: str, external: bool) -> None:
    text, document = composed(planned(name, external=external))
    model = compose_spec.load(text)
    assert set(model["services"]) == set(document["services"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"services": {"a": {"image": "x", "imagee": "y"}}}, "imagee"),
        ({"services": {"a": {"image": "x", "healthcheck": {"test": 1}}}}, "healthcheck"),
        ({"services": {"a": {"image": "x", "depends_on": {"b": {"condition": "healthy"}}}}}, "condition"),
        ({"services": {"a": {"image": "x"}}, "networks": {"b": {"internal": 5}}}, "internal"),
    ],
)
def test_the_specifications_loader_refuses_what_is_wrong(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        compose_spec.load(yaml.safe_dump({"name": "x", **wrong}))


@pytest.mark.parametrize("external", [False, True])
def test_what_a_container_names_is_there(name: str, external: bool) -> None:
    document = composed(planned(name, external=external))[1]
    used: dict[str, set[str]] = {"services": set(), "networks": set(), "volumes": set()}
    for content in document["services"].values():
        used["services"] |= set(content.get("depends_on", ()))
        used["networks"] |= set(content["networks"])
        used["volumes"] |= {volume.partition(":")[0] for volume in content["volumes"]}
    assert used["services"] | {"gateway"} == set(document["services"])
    assert used["networks"] == set(document["networks"])
    assert used["volumes"] == set(document["volumes"])


def test_each_service_has_one_database_which_nobody_else_can_reach(name: str) -> None:
    services = composed(planned(name))[1]["services"]
    databases = {each for each, content in services.items() if content["image"].startswith(("postgres", "mariadb"))}
    assert databases == set(OWNERS)
    for database, owner in OWNERS.items():
        (network,) = services[database]["networks"]
        assert {each for each, content in services.items() if network in content["networks"]} == {database, owner}
        assert "ports" not in services[database]
        addresses = {
            each: value
            for each, content in services.items()
            for value in (content.get("environment") or {}).values()
            if value and f"@{database}:" in value
        }
        assert set(addresses) == {owner}


def test_networks_of_servers_lead_nowhere_and_only_the_gateway_is_published(name: str) -> None:
    document = composed(planned(name))[1]
    inner = {network for network, content in document["networks"].items() if content.get("internal")}
    assert inner == set(document["networks"]) - {"services"}
    assert {each for each, content in document["services"].items() if "ports" in content} == {"gateway"}


def test_the_kind_of_each_server_is_the_deployments() -> None:
    plain, everything = (composed(planned(name))[1]["services"] for name in DEPLOYMENTS)
    assert {plain[database]["image"].partition(":")[0] for database in OWNERS} == {"postgres"}
    assert everything["payments-db"]["image"].startswith("mariadb:")
    assert everything["orders-db"]["image"].startswith("postgres:")
    assert set(plain) - set(OWNERS) == {"kafka", "orders", "stock-room", "payments", "gateway"}
    assert set(everything) - set(plain) == {"rabbitmq", "redis", "objects"}
    assert "kafka" not in everything


def test_a_service_waits_for_its_servers_and_everything_tells_how_it_is(name: str) -> None:
    services = composed(planned(name))[1]["services"]
    for each, content in services.items():
        assert content["healthcheck"]["test"][0] == "CMD", each
        for other, condition in content.get("depends_on", {}).items():
            expected = "service_started" if other in OWNERS.values() else "service_healthy"
            assert condition == {"condition": expected}
    broker = "kafka" if name == "plain" else "rabbitmq"
    for database, owner in OWNERS.items():
        assert {database, broker} <= set(services[owner]["depends_on"])
        assert "/health/ready" in services[owner]["healthcheck"]["test"][-1]
    assert {*OWNERS.values()} <= set(services["gateway"]["depends_on"])


def test_every_secret_is_a_reference_that_must_be_given(name: str) -> None:
    made = planned(name)
    text, document = composed(made)
    assert GIVEN not in text
    assert GIVEN not in applied(made)[0]
    seen = set()
    for content in document["services"].values():
        for variable, value in (content.get("environment") or {}).items():
            found = PASSWORD.findall(value or "")
            assert all(required for _, required in found), f"{variable} may be missing"
            seen |= {secret for secret, _ in found}
            if re.search("PASS|SECRET|ACCESS_KEY|://.*@", variable + str(value)) and "RANDOM_ROOT" not in variable:
                assert found or value is None, f"{variable} is written down"
    assert seen == set(made.secrets())
    head = text.partition("\nname:")[0]
    assert all(secret in head for secret in seen)


def test_secret_settings_are_passed_on_and_others_are_not(name: str) -> None:
    services = composed(planned(name))[1]["services"]
    settings = {
        (each, variable): value
        for each, content in services.items()
        for variable, value in (content.get("environment") or {}).items()
        if "__SETTINGS__" in variable
    }
    assert settings == {("orders", "FREEHOLD_SERVICES__ORDERS__SETTINGS__API_KEY"): None}


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("external", [False, True])
def test_manifests_are_what_the_schemas_say(name: str, external: bool) -> None:
    documents = applied(planned(name, external=external))[1]
    assert len(documents) > 10
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    document = of_kind(applied(planned("plain"))[1], "StatefulSet")["orders"]
    pod(document)["containers"][0]["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_a_database_lets_in_the_pods_of_its_service_only(name: str) -> None:
    documents = applied(planned(name))[1]
    policies, sets = of_kind(documents, "NetworkPolicy"), of_kind(documents, "StatefulSet")
    for database, owner in OWNERS.items():
        spec = policies[database]["spec"]
        assert (
            spec["podSelector"]["matchLabels"].items()
            <= sets[database]["spec"]["template"]["metadata"]["labels"].items()
        )
        (rule,) = spec["ingress"]
        (source,) = rule["from"]
        assert list(source) == ["podSelector"]
        let_in = [
            each
            for each, document in {**sets, **of_kind(documents, "Deployment")}.items()
            if source["podSelector"]["matchLabels"].items()
            <= document["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert let_in == [owner]
        assert spec["policyTypes"] == ["Ingress"]
        (port,) = rule["ports"]
        assert port["port"] == pod(sets[database])["containers"][0]["ports"][0]["containerPort"]


def test_every_server_is_closed_to_whoever_does_not_use_it(name: str) -> None:
    made = planned(name)
    policies = of_kind(applied(made)[1], "NetworkPolicy")
    assert set(policies) == {server.name for server in made.servers}
    for server, policy in policies.items():
        let_in = [
            source["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
            for source in policy["spec"]["ingress"][0]["from"]
        ]
        assert let_in == made.users(server)
        assert let_in


@pytest.mark.parametrize("external", [False, True])
def test_every_secret_of_a_pod_is_a_reference(name: str, external: bool) -> None:
    made = planned(name, external=external)
    text, documents = applied(made)
    assert GIVEN not in text
    assert not of_kind(documents, "Secret")
    wanted = set()
    for document in documents:
        assert "${" not in str(document.get("data", "")), "a secret in a ConfigMap"
        if document["kind"] not in ("StatefulSet", "Deployment"):
            continue
        (container,) = pod(document)["containers"]
        known: set[str] = set()
        for variable in container["env"]:
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                if not reference.get("optional"):
                    wanted.add(reference["name"])
            else:
                used = set(re.findall(r"\$\((\w+)\)", variable["value"]))
                assert used <= known, f"{variable['name']} comes before what it is made of"
                assert not re.search("PASS|SECRET|ACCESS_KEY", variable["name"]) or used or "RANDOM" in variable["name"]
                assert "://" not in variable["value"] or "@" not in variable["value"] or used
            known.add(variable["name"])
        assert "${" not in str(container["env"])
    assert wanted == {secret.lower().replace("_", "-") for secret in made.secrets()}
    assert all(f"kubectl create secret generic {secret} " in text for secret in wanted)


def test_pods_are_watched_bounded_and_without_privileges(name: str) -> None:
    made = planned(name)
    documents = applied(made)[1]
    workloads = {**of_kind(documents, "StatefulSet"), **of_kind(documents, "Deployment")}
    assert set(workloads) == {each.name for each in (*made.servers, *made.parts)}
    for each, document in workloads.items():
        (container,) = pod(document)["containers"]
        assert container["resources"]["requests"], each
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert pod(document)["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod(document)["enableServiceLinks"] is False
    for part in made.parts:
        (container,) = pod(workloads[part.name])["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert set(of_kind(documents, "PodDisruptionBudget")) == {part.name for part in made.parts}
    assert set(of_kind(documents, "ConfigMap")) == {part.name for part in made.parts}
    (ingress,) = of_kind(documents, "Ingress").values()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == "gateway"


def test_external_servers_are_addresses_in_secrets(name: str) -> None:
    made = planned(name, external=True)
    documents = applied(made)[1]
    assert set(of_kind(documents, "StatefulSet")) == set(OWNERS.values())
    assert not of_kind(documents, "NetworkPolicy")
    for part in made.parts[:-1]:
        own = f"{part.service.upper()}_DATABASE_URL"
        assert [secret for secret in secrets_in(part.environment) if secret.endswith("DATABASE_URL")] == [own]
    assert set(composed(made)[1]["services"]) == {*OWNERS.values(), "gateway"}


def test_objects_in_a_folder_are_one_folder_for_all_who_use_them() -> None:
    made = planned("plain")
    documents = applied(made)[1]
    assert of_kind(documents, "PersistentVolumeClaim")["objects-data"]["spec"]["accessModes"] == ["ReadWriteMany"]
    mounted = {
        each
        for each, document in {**of_kind(documents, "StatefulSet"), **of_kind(documents, "Deployment")}.items()
        for volume in pod(document).get("volumes", ())
        if volume.get("persistentVolumeClaim", {}).get("claimName") == "objects-data"
    }
    assert mounted == {"orders", "gateway"}
    services = composed(made)[1]["services"]
    assert {
        each for each, content in services.items() if "objects-data:/var/lib/objects" in content["volumes"]
    } == mounted


# --- what the containers are told, they understand --------------------------------------------------------------------


@pytest.mark.parametrize("external", [False, True])
def test_every_part_can_read_its_environment(name: str, external: bool) -> None:
    addresses = {
        "STORE_URL": "redis://h", "BUS_URL": "kafka://h:9092" if name == "plain" else "amqp://h",
        **{f"{service.upper()}_DATABASE_URL": "postgresql://u:p@h/d" for service in ("orders", "stock_room", "payments")},
    }  # fmt: skip
    for part in planned(name, external=external).parts:
        environment = {
            variable: re.sub(r"\$\{(\w+)\}", lambda found: addresses.get(found[1], "0a1b2c"), value)
            for variable, value in part.environment.items()
        }
        environment |= dict.fromkeys(part.optional, "given")
        deployment = read(shop(), environment=environment)
        own = {service: each.database for service, each in deployment.services.items() if each.database}
        assert set(own) == ({part.service} if part.service != "gateway" else set())
        for url in own.values():
            assert "0a1b2c" not in open_engine(url).url
        if deployment.bus.startswith("kafka"):
            Address.read(deployment.bus)
        if deployment.objects:
            assert open_objects(deployment.objects).url in ("file:///var/lib/objects", "s3://shop-files/orders")
        assert {deployment.address(shop(), other) for other in ("orders", "stock_room")} == {
            "http://orders:8080", "http://stock-room:8080",
        }  # fmt: skip


def test_every_command_is_one_of_the_command_line() -> None:
    serve = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    made = plan(shop(), Deployment(), named="shop", deploy="prod")
    for part in made.parts:
        program, *arguments = part.command
        context = serve.make_context("serve", list(arguments))
        assert program == "serve"
        assert {key: context.params[key] for key in ("system", "service", "deploy", "host", "port")} == {
            "system": "shop", "service": part.service, "deploy": "prod", "host": "0.0.0.0", "port": 8080,
        }  # fmt: skip


def test_two_containers_never_have_one_name() -> None:
    with pytest.raises(ConfigurationError, match="'kafka': is what another container is called"):
        plan(System("shop", services=[Service("kafka")]), Deployment(), named="shop")


def test_a_reference_can_be_written_in_any_form() -> None:
    assert refer("a://u:${X_PASSWORD}@h/${Y}", "$({})") == "a://u:$(X_PASSWORD)@h/$(Y)"


# --- the image and the command ----------------------------------------------------------------------------------------


def test_the_image_has_what_the_deployment_needs() -> None:
    assert "'freehold[kafka,objects]==1.2.3'" in dockerfile(planned("plain"), version="1.2.3")
    everything = dockerfile(planned("everything"), version="1.2.3")
    assert "'freehold[mysql,objects,rabbitmq,redis]==1.2.3'" in everything
    assert re.findall(r"^USER (\d+)$", everything, re.MULTILINE) == ["10001"]


def test_the_command_writes_files(tmp_path: Path) -> None:
    def export(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "freehold.cli", "export", *arguments],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
        )  # fmt: skip

    for kind, names in (("compose", ["compose.yaml"]), ("dockerfile", ["Dockerfile", "Dockerfile.dockerignore"])):
        done = export(kind, "booking_rush", "--output", str(tmp_path / names[0]))
        assert done.returncode == 0, done.stderr
        assert all((tmp_path / name).read_text() for name in names)
    assert ".env\n" in (tmp_path / "Dockerfile.dockerignore").read_text()
    assert len(compose_spec.load((tmp_path / "compose.yaml").read_text())["services"]) == 12
    printed = export("kubernetes", "booking_rush", "--image", "registry.example/booking:7")
    assert {
        pod(d)["containers"][0]["image"]
        for d in of_kind(list(yaml.safe_load_all(printed.stdout)), "Deployment").values()
    } == {"registry.example/booking:7"}
    nowhere = export("compose", "booking_rush", "--output", str(tmp_path / "no" / "file"))
    assert nowhere.returncode == 2
    assert "cannot be written" in nowhere.stderr
