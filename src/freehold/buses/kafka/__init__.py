"""Kafka, on confluent-kafka."""

from freehold.buses.kafka.bus import KafkaBus as KafkaBus
