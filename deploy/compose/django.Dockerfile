# syntax=docker/dockerfile:1
# Replace this with your Django image in compose.yaml. It runs the tests' reference project under gunicorn.
FROM python:3.11-slim-bookworm
WORKDIR /project
COPY requirements/ requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    sed -i '/^mysqlclient\|^pytest/d' requirements/5.2.txt && pip install --requirement requirements/5.2.txt
COPY . .
USER 10002:10002
ENV DJANGO_SETTINGS_MODULE=reference.settings PYTHONDONTWRITEBYTECODE=1
EXPOSE 8001
CMD ["gunicorn", "--bind=0.0.0.0:8001", "--worker-tmp-dir=/dev/shm", "reference.wsgi"]
