# The images of docker-compose.yaml. They hold the packages; the code is mounted.
# A target is named after its executor, so that one variable of docker-compose.yaml chooses image and executor.
FROM python:3.13-slim-trixie AS localexecutor
RUN useradd --create-home --uid 50000 airflow \
    && install -d -o airflow -g airflow /opt/airflow /opt/sandbox /run/nightcast/airflow /run/nightcast/database /run/nightcast/broker
WORKDIR /opt/nightcast
COPY constraints.txt requirements.txt requirements-sandbox.txt ./
COPY docker/requirements.txt docker/requirements-celery.txt docker/
# Compiled here, for the user of the services can not write beside the packages.
RUN python -m venv /opt/uv && python -m venv --without-pip /opt/venv \
    && /opt/uv/bin/pip install --no-cache-dir --quiet -c constraints.txt uv \
    && /opt/uv/bin/uv pip install --no-cache --quiet --compile-bytecode --python /opt/venv/bin/python \
        -r requirements.txt -r docker/requirements.txt
COPY docker/make_secrets.py docker/healthy.py docker/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/nightcast/plugins \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nightcast/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nightcast/plugins
USER airflow

FROM localexecutor AS sandbox
USER root
RUN /opt/uv/bin/uv pip install --no-cache --quiet --compile-bytecode --python /opt/venv/bin/python -r requirements-sandbox.txt
USER airflow

FROM localexecutor AS celeryexecutor
USER root
RUN /opt/uv/bin/uv pip install --no-cache --quiet --compile-bytecode --python /opt/venv/bin/python -r docker/requirements-celery.txt
USER airflow
