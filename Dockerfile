# One file, one target per container: docker build --target asr|llm|tts|render|train|gateway .
# Render and train copy the same environment, so the heavy layer (torch) is stored once.

FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Each room installs its lock, where every package has its version and hashes, and then the project's name and version.
COPY lock/build.txt lock/
RUN pip install --require-hashes --no-deps -r lock/build.txt
COPY pyproject.toml README.md ./

FROM build AS stubs
COPY lock/stubs.txt lock/
RUN pip install --require-hashes --no-deps -r lock/stubs.txt
COPY protos protos
RUN python protos/build.py /stubs

FROM build AS build-asr
COPY lock/asr.txt lock/
RUN pip install --require-hashes --no-deps -r lock/asr.txt && pip install --no-deps --no-build-isolation .
FROM build AS build-llm
COPY lock/llm.txt lock/
RUN pip install --require-hashes --no-deps -r lock/llm.txt && pip install --no-deps --no-build-isolation .
FROM build AS build-tts
COPY lock/tts.txt lock/
RUN pip install --require-hashes --no-deps -r lock/tts.txt && pip install --no-deps --no-build-isolation .
FROM build AS build-portrait
COPY lock/portrait.txt lock/
RUN pip install --require-hashes --no-deps -r lock/portrait.txt && pip install --no-deps --no-build-isolation .
RUN pip install torch==2.13.0
FROM build AS build-gateway
COPY lock/gateway.txt lock/
RUN pip install --require-hashes --no-deps -r lock/gateway.txt && pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm AS runtime
RUN useradd --uid 10001 --create-home visavis && install -d -m 700 -o visavis -g visavis /data /data/tmp /models
# TMPDIR: uploads on their way belong on the disk, not in the memory that /tmp is made of.
ENV TMPDIR=/data/tmp PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp OMP_WAIT_POLICY=PASSIVE \
    OPENBLAS_NUM_THREADS=1 MALLOC_ARENA_MAX=2 \
    VISAVIS_STORAGE_URL=file:///data VISAVIS_DATABASE_URL=sqlite:////data/jobs.sqlite VISAVIS_WORK_FOLDER=/data/work \
    VISAVIS_MODELS_FOLDER=/models
WORKDIR /app
STOPSIGNAL SIGTERM

FROM runtime AS service
COPY basics basics
COPY services/__init__.py services/__init__.py
COPY services/common services/common
COPY models models

FROM service AS asr
COPY --from=build-asr /venv /venv
COPY --from=stubs /stubs /app
COPY services/asr services/asr
ENV ASR_HOST=0.0.0.0
USER visavis
CMD ["python", "-m", "services.asr"]

FROM service AS llm
COPY --from=build-llm /venv /venv
COPY --from=stubs /stubs /app
COPY services/llm services/llm
ENV LLM_HOST=0.0.0.0
USER visavis
CMD ["python", "-m", "services.llm"]

FROM service AS tts
COPY --from=build-tts /venv /venv
COPY --from=stubs /stubs /app
COPY services/tts services/tts
ENV TTS_HOST=0.0.0.0
USER visavis
CMD ["python", "-m", "services.tts"]

FROM service AS portrait
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgl1 libegl1 libgles2 libglib2.0-0 libgomp1 fonts-noto-cjk \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build-portrait /venv /venv
COPY --from=stubs /stubs /app
COPY portrait portrait

FROM portrait AS render
COPY services/render services/render
COPY demo/avatar demo/avatar
ENV RENDER_HOST=0.0.0.0
USER visavis
CMD ["python", "-m", "services.render"]

FROM portrait AS train
COPY services/train services/train
ENV TRAIN_HOST=0.0.0.0
USER visavis
CMD ["python", "-m", "services.train"]

FROM runtime AS gateway
COPY --from=build-gateway /venv /venv
COPY --from=stubs /stubs /app
COPY basics basics
COPY client client
COPY gateway gateway
ENV GATEWAY_HOST=0.0.0.0 GATEWAY_DATA_FOLDER=/data/gateway
USER visavis
CMD ["python", "-m", "gateway"]
