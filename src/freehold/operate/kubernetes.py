"""A plan as Kubernetes manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from freehold.operate.dockerfile import USER
from freehold.operate.plan import DATA, OBJECTS, PORT, Part, Plan, refer, secrets_in
from freehold.operate.servers import Container
from freehold.operate.text import to_yaml

Document = dict[str, Any]
GATEWAYS = 2
PART_RESOURCES = {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "768Mi"}}
SERVER_RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
_UNPRIVILEGED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def kubernetes(plan: Plan, *, image: str) -> str:
    """The text of the manifests.

    Each database takes connections from the pods of its service only; so do the broker and the stores from their users.
    Passwords are in Secrets that the manifests refer to and do not hold.

    Args:
        plan: the containers.
        image: what the services run.
    """
    return to_yaml(_heading(plan), list(_Manifests(plan, image)))


def documents(plan: Plan, *, image: str) -> list[Document]:
    """What the manifests hold."""
    return list(_Manifests(plan, image))


def _heading(plan: Plan) -> list[str]:
    return [
        "Made by `freehold export kubernetes`. Make the Secrets once:",
        "",
        *(
            f"  kubectl create secret generic {_secret(name)} --from-literal=value="
            + ("..." if name.endswith("_URL") else '"$(openssl rand -hex 24)"')
            for name in plan.secrets()
        ),
    ]


class _Manifests:
    def __init__(self, plan: Plan, image: str) -> None:
        self._plan = plan
        self._image = image

    def __iter__(self) -> Iterator[Document]:
        for server in self._plan.servers:
            yield _service(self._labels(server.name), server.port, headless=True)
            yield self._server(server)
            yield self._policy(server)
        if any(part.files for part in self._plan.parts):
            yield self._shared_folder()
        for part in self._plan.parts:
            gateway = part is self._plan.parts[-1]
            labels = self._labels(part.name)
            yield _document("v1", "ConfigMap", labels, data=_plain(part.environment))
            yield _service(labels, PORT)
            yield self._gateway(part) if gateway else self._part(part)
            allowed = {"minAvailable": 1} if gateway else {"maxUnavailable": 1}
            yield _document(
                "policy/v1", "PodDisruptionBudget", labels, spec={**allowed, "selector": _selector(part.name)}
            )
        yield self._ingress()

    def _labels(self, name: str) -> dict[str, str]:
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": self._plan.name}

    # --- servers ------------------------------------------------------------------------------------------------------

    def _server(self, server: Container) -> Document:
        def probe(**times: int) -> dict[str, Any]:
            return {"exec": {"command": [*server.alive]}, "timeoutSeconds": 10, **times}

        container = {
            "name": server.name,
            "image": server.image,
            **({"command" if server.command[0] == "sh" else "args": [*server.command]} if server.command else {}),
            "env": _environment(server.environment),
            "ports": [{"name": "main", "containerPort": server.port}],
            "startupProbe": probe(periodSeconds=5, failureThreshold=60),
            "readinessProbe": probe(periodSeconds=10),
            "livenessProbe": probe(periodSeconds=30, failureThreshold=5),
            "resources": SERVER_RESOURCES,
            "securityContext": _UNPRIVILEGED,
            "volumeMounts": [{"name": "data", "mountPath": server.data}],
        }
        return self._stateful(server.name, container, server.user, storage="10Gi")

    def _policy(self, server: Container) -> Document:
        owner = self._plan.owners.get(server.name)
        users = [owner] if owner else self._plan.users(server.name)
        sources = [{"podSelector": _selector(user)} for user in users]
        rule = {"from": sources, "ports": [{"protocol": "TCP", "port": server.port}]}
        return _document(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            self._labels(server.name),
            spec={"podSelector": _selector(server.name), "policyTypes": ["Ingress"], "ingress": [rule]},
        )

    # --- services and the gateway -------------------------------------------------------------------------------------

    def _part(self, part: Part) -> Document:
        """One pod for each service: its processes share its keys, which are in its folder."""
        return self._stateful(part.name, self._container(part), USER, storage="1Gi", volumes=_volumes(part))

    def _gateway(self, part: Part) -> Document:
        labels = self._labels(part.name)
        volumes = [*_volumes(part), {"name": "data", "emptyDir": {}}]
        return _document(
            "apps/v1",
            "Deployment",
            labels,
            spec={
                "replicas": GATEWAYS,
                "selector": _selector(part.name),
                "template": self._template(labels, self._container(part), USER, volumes),
            },
        )

    def _container(self, part: Part) -> dict[str, Any]:
        def probe(path: str, **times: int) -> dict[str, Any]:
            return {"httpGet": {"path": path, "port": "main"}, "timeoutSeconds": 5, **times}

        optional = [_optional(name, part) for name in part.optional]
        mounts = [{"name": "data", "mountPath": DATA}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of the pod
        if part.files:
            mounts.append({"name": "objects", "mountPath": OBJECTS})
        return {
            "name": part.name,
            "image": self._image,
            "command": ["freehold", *part.command],
            "envFrom": [{"configMapRef": {"name": part.name}}],
            "env": [*_environment(_secret_part(part.environment)), *optional],
            "ports": [{"name": "main", "containerPort": PORT}],
            "startupProbe": probe("/health/live", periodSeconds=2, failureThreshold=90),
            "readinessProbe": probe("/health/ready", periodSeconds=5),
            "livenessProbe": probe("/health/live", periodSeconds=10, failureThreshold=6),
            "resources": PART_RESOURCES,
            "securityContext": {**_UNPRIVILEGED, "readOnlyRootFilesystem": True},
            "volumeMounts": mounts,
        }

    def _shared_folder(self) -> Document:
        claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}}
        return _document("v1", "PersistentVolumeClaim", self._labels("objects-data"), spec=claim)

    def _ingress(self) -> Document:
        name = self._plan.parts[-1].name
        backend = {"service": {"name": name, "port": {"name": "main"}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        return _document(
            "networking.k8s.io/v1", "Ingress", self._labels(name), spec={"rules": [{"http": {"paths": [path]}}]}
        )

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _stateful(
        self,
        name: str,
        container: dict[str, Any],
        user: int,
        *,
        storage: str,
        volumes: list[dict[str, Any]] | None = None,
    ) -> Document:
        labels = self._labels(name)
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
        }
        return _document(
            "apps/v1",
            "StatefulSet",
            labels,
            spec={
                "serviceName": name,
                "replicas": 1,
                "selector": _selector(name),
                "template": self._template(labels, container, user, volumes or []),
                "volumeClaimTemplates": [claim],
            },
        )

    def _template(
        self, labels: dict[str, str], container: dict[str, Any], user: int, volumes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "metadata": {"labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,  # variables like KAFKA_PORT would be taken for settings
                "terminationGracePeriodSeconds": 40,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": user,
                    "runAsGroup": user,
                    "fsGroup": user,
                    "fsGroupChangePolicy": "OnRootMismatch",  # private keys must stay private to their user
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                **({"volumes": volumes} if volumes else {}),
            },
        }


def _document(version: str, kind: str, labels: dict[str, str], **content: Any) -> Document:
    metadata = {"name": labels["app.kubernetes.io/name"], "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _service(labels: dict[str, str], port: int, *, headless: bool = False) -> Document:
    spec: dict[str, Any] = {
        "selector": {"app.kubernetes.io/name": labels["app.kubernetes.io/name"]},
        "ports": [{"name": "main", "port": port, "targetPort": "main"}],
    }
    if headless:
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}  # a broker must find itself to become ready
    return _document("v1", "Service", labels, spec=spec)


def _selector(name: str) -> dict[str, Any]:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


def _volumes(part: Part) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if part.files:
        made.append({"name": "objects", "persistentVolumeClaim": {"claimName": "objects-data"}})
    return made


# --- variables --------------------------------------------------------------------------------------------------------


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not secrets_in({name: value})}


def _secret_part(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if secrets_in({name: value})}


def _environment(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """A secret that is a part of a value becomes a variable of its own before it, from which Kubernetes composes it."""
    whole = {name: secret for name, value in environment.items() if (secret := _whole(value))}
    composed = {name: value for name, value in environment.items() if name not in whole}
    made = [_from_secret(name, _secret(secret)) for name, secret in whole.items()]
    made += [_from_secret(name, _secret(name)) for name in secrets_in(composed)]
    return made + [{"name": name, "value": refer(value, "$({})")} for name, value in composed.items()]


def _whole(value: str) -> str | None:
    """The secret that a value is, and nothing beside."""
    names = secrets_in({"": value})
    return names[0] if len(names) == 1 and value == f"${{{names[0]}}}" else None


def _from_secret(variable: str, secret: str, key: str = "value", **more: Any) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


def _optional(variable: str, part: Part) -> dict[str, Any]:
    return _from_secret(variable, f"{part.name}-settings", variable.rpartition("__")[2], optional=True)


def _secret(variable: str) -> str:
    return variable.lower().replace("_", "-")
