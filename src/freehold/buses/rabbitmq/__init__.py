"""The bus over RabbitMQ."""

from freehold.buses.rabbitmq.bus import RabbitBus, forget

__all__ = ["RabbitBus", "forget"]
