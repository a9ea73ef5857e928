"""The papers behind what this package has; the classes that come from them name them."""

from __future__ import annotations

from brianlearn.citing.references import Reference

__all__: list[str] = []

# --- programs

BRIAN2 = Reference(
    "M. Stimberg and R. Brette and D. F. M. Goodman",
    "Brian 2, an intuitive and efficient neural simulator",
    "eLife",
    2019,
    volume="8",
    pages="e47314",
    doi="10.7554/eLife.47314",
)
BRIAN2GENN = Reference(
    "M. Stimberg and D. F. M. Goodman and T. Nowotny",
    "Brian2GeNN: accelerating spiking neural network simulations with graphics hardware",
    "Scientific Reports",
    2020,
    volume="10",
    pages="410",
    doi="10.1038/s41598-019-54957-7",
)
GENN = Reference(
    "E. Yavuz and J. Turner and T. Nowotny",
    "GeNN: a code generation framework for accelerated brain simulations",
    "Scientific Reports",
    2016,
    volume="6",
    pages="18854",
    doi="10.1038/srep18854",
)
PYTORCH = Reference(
    "A. Paszke and others",
    "PyTorch: an imperative style, high-performance deep learning library",
    "NeurIPS 32",
    2019,
    kind="inproceedings",
    arxiv="1912.01703",
)
SCIKIT_LEARN = Reference(
    "F. Pedregosa and others",
    "Scikit-learn: machine learning in Python",
    "Journal of Machine Learning Research",
    2011,
    volume="12",
    pages="2825-2830",
)

ENERGY = Reference(
    "M. Horowitz",
    "Computing's energy problem (and what we can do about it)",
    "ISSCC",
    2014,
    kind="inproceedings",
    pages="10-14",
    doi="10.1109/ISSCC.2014.6757323",
)

NIR = Reference(
    "J. E. Pedersen and others",
    "Neuromorphic intermediate representation: a unified instruction set for interoperable brain-inspired computing",
    "Nature Communications",
    2024,
    volume="15",
    pages="8122",
    doi="10.1038/s41467-024-52259-9",
)

# --- rules

DALTON = Reference(
    "R. Gaurav and D. A. Do and T. T. Doan and Y. Yi",
    "DALTON: deep local learning in SNNs via local weights and surrogate-derivative transfer",
    "IEEE Transactions on Emerging Topics in Computing",
    2025,
    volume="13",
    number="3",
    doi="10.1109/TETC.2024.3440932",
)
THREE_FACTORS = Reference(
    "N. Frémaux and W. Gerstner",
    "Neuromodulated spike-timing-dependent plasticity, and theory of three-factor learning rules",
    "Frontiers in Neural Circuits",
    2016,
    volume="9",
    pages="85",
    doi="10.3389/fncir.2015.00085",
)
FEEDBACK_ALIGNMENT = Reference(
    "A. Nøkland",
    "Direct feedback alignment provides learning in deep neural networks",
    "NeurIPS 29",
    2016,
    kind="inproceedings",
    arxiv="1609.01596",
)
EPROP = Reference(
    "G. Bellec and others",
    "A solution to the learning dilemma for recurrent networks of spiking neurons",
    "Nature Communications",
    2020,
    volume="11",
    pages="3625",
    doi="10.1038/s41467-020-17236-y",
)
DECOLLE = Reference(
    "J. Kaiser and H. Mostafa and E. Neftci",
    "Synaptic plasticity dynamics for deep continuous local learning (DECOLLE)",
    "Frontiers in Neuroscience",
    2020,
    volume="14",
    pages="424",
    doi="10.3389/fnins.2020.00424",
)
STBP = Reference(
    "Y. Wu and L. Deng and G. Li and J. Zhu and L. Shi",
    "Spatio-temporal backpropagation for training high-performance spiking neural networks",
    "Frontiers in Neuroscience",
    2018,
    volume="12",
    pages="331",
    doi="10.3389/fnins.2018.00331",
)
SEQUENCE_STBP = Reference(
    "Z. Wang and Y. Ye and H. Liu and Y. Xu and Y. Fan and W. Wang",
    "Spiking sequence label-based spatio-temporal back-propagation algorithm for training deep spiking neural networks",
    "Journal of Electronics & Information Technology",
    2024,
    volume="46",
    number="6",
    pages="2596-2604",
    doi="10.11999/JEIT230705",
    note="in Chinese",
)
SURROGATE_GRADIENTS = Reference(
    "E. O. Neftci and H. Mostafa and F. Zenke",
    "Surrogate gradient learning in spiking neural networks",
    "IEEE Signal Processing Magazine",
    2019,
    volume="36",
    number="6",
    pages="51-63",
    doi="10.1109/MSP.2019.2931595",
)
REWARDED_STDP = Reference(
    "R. V. Florian",
    "Reinforcement learning through modulation of spike-timing-dependent synaptic plasticity",
    "Neural Computation",
    2007,
    volume="19",
    number="6",
    pages="1468-1502",
    doi="10.1162/neco.2007.19.6.1468",
)
DISTAL_REWARD = Reference(
    "E. M. Izhikevich",
    "Solving the distal reward problem through linkage of STDP and dopamine signaling",
    "Cerebral Cortex",
    2007,
    volume="17",
    number="10",
    pages="2443-2452",
    doi="10.1093/cercor/bhl152",
)

# --- losses and distances

VAN_ROSSUM = Reference(
    "M. C. W. van Rossum",
    "A novel spike distance",
    "Neural Computation",
    2001,
    volume="13",
    number="4",
    pages="751-763",
    doi="10.1162/089976601300014321",
)
VICTOR_PURPURA = Reference(
    "J. D. Victor and K. P. Purpura",
    "Nature and precision of temporal coding in visual cortex: a metric-space analysis",
    "Journal of Neurophysiology",
    1996,
    volume="76",
    number="2",
    pages="1310-1326",
    doi="10.1152/jn.1996.76.2.1310",
)
SLAYER = Reference(
    "S. B. Shrestha and G. Orchard",
    "SLAYER: spike layer error reassignment in time",
    "NeurIPS 31",
    2018,
    kind="inproceedings",
    arxiv="1810.08646",
)
LABEL_SMOOTHING = Reference(
    "C. Szegedy and V. Vanhoucke and S. Ioffe and J. Shlens and Z. Wojna",
    "Rethinking the Inception architecture for computer vision",
    "CVPR",
    2016,
    kind="inproceedings",
    doi="10.1109/CVPR.2016.308",
)
TEMPORAL_EFFICIENT = Reference(
    "S. Deng and Y. Li and S. Zhang and S. Gu",
    "Temporal efficient training of spiking neural network via gradient re-weighting",
    "ICLR",
    2022,
    kind="inproceedings",
    arxiv="2202.11946",
)
LEAST_SQUARES = Reference(
    "C. F. Gauss",
    "Theoria combinationis observationum erroribus minimis obnoxiae",
    "Göttingen",
    1823,
    kind="book",
)
ROBUST_STATISTICS = Reference(
    "P. J. Huber and E. M. Ronchetti", "Robust statistics, 2nd edition", "Wiley", 2009, kind="book"
)
HUBER = Reference(
    "P. J. Huber",
    "Robust estimation of a location parameter",
    "Annals of Mathematical Statistics",
    1964,
    volume="35",
    number="1",
    pages="73-101",
    doi="10.1214/aoms/1177703732",
)
FITTED_TRAINS = Reference(
    "C. Rossant and D. F. M. Goodman and B. Fontaine and J. Platkiewicz and A. K. Magnusson and R. Brette",
    "Fitting neuron models to spike trains",
    "Frontiers in Neuroscience",
    2011,
    volume="5",
    pages="9",
    doi="10.3389/fnins.2011.00009",
)
L_BFGS_B = Reference(
    "R. H. Byrd and P. Lu and J. Nocedal and C. Zhu",
    "A limited memory algorithm for bound constrained optimization",
    "SIAM Journal on Scientific Computing",
    1995,
    volume="16",
    number="5",
    pages="1190-1208",
    doi="10.1137/0916069",
)

# --- optimisers and schedules

SGD = Reference(
    "H. Robbins and S. Monro",
    "A stochastic approximation method",
    "Annals of Mathematical Statistics",
    1951,
    volume="22",
    number="3",
    pages="400-407",
    doi="10.1214/aoms/1177729586",
)
MOMENTUM = Reference(
    "B. T. Polyak",
    "Some methods of speeding up the convergence of iteration methods",
    "USSR Computational Mathematics and Mathematical Physics",
    1964,
    volume="4",
    number="5",
    pages="1-17",
    doi="10.1016/0041-5553(64)90137-5",
)
ADAM = Reference(
    "D. P. Kingma and J. Ba",
    "Adam: a method for stochastic optimization",
    "ICLR",
    2015,
    kind="inproceedings",
    arxiv="1412.6980",
)
ADAMW = Reference(
    "I. Loshchilov and F. Hutter",
    "Decoupled weight decay regularization",
    "ICLR",
    2019,
    kind="inproceedings",
    arxiv="1711.05101",
)
RMSPROP = Reference(
    "G. Hinton and N. Srivastava and K. Swersky",
    "Neural networks for machine learning, lecture 6e",
    "lecture",
    2012,
    kind="misc",
)
LION = Reference(
    "X. Chen and others",
    "Symbolic discovery of optimization algorithms",
    "NeurIPS 36",
    2023,
    kind="inproceedings",
    arxiv="2302.06675",
)
COSINE = Reference(
    "I. Loshchilov and F. Hutter",
    "SGDR: stochastic gradient descent with warm restarts",
    "ICLR",
    2017,
    kind="inproceedings",
    arxiv="1608.03983",
)
WARM_UP = Reference(
    "P. Goyal and others",
    "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    "arXiv",
    2017,
    kind="misc",
    arxiv="1706.02677",
)
HALVING = Reference(
    "L. Li and others",
    "A system for massively parallel hyperparameter tuning",
    "MLSys",
    2020,
    kind="inproceedings",
    arxiv="1810.05934",
)

# --- neurons, surrogate derivatives, initial weights, encoders

LAPICQUE = Reference(
    "N. Brunel and M. C. W. van Rossum",
    "Lapicque's 1907 paper: from frogs to integrate-and-fire",
    "Biological Cybernetics",
    2007,
    volume="97",
    pages="337-339",
    doi="10.1007/s00422-007-0190-0",
)
CUBA = Reference(
    "R. Brette and others",
    "Simulation of networks of spiking neurons: a review of tools and strategies",
    "Journal of Computational Neuroscience",
    2007,
    volume="23",
    number="3",
    pages="349-398",
    doi="10.1007/s10827-007-0038-6",
)
ADAPTIVE_LIF = Reference(
    "G. Bellec and D. Salaj and A. Subramoney and R. Legenstein and W. Maass",
    "Long short-term memory and learning-to-learn in networks of spiking neurons",
    "NeurIPS 31",
    2018,
    kind="inproceedings",
    arxiv="1803.09574",
)
SUPERSPIKE = Reference(
    "F. Zenke and S. Ganguli",
    "SuperSpike: supervised learning in multilayer spiking neural networks",
    "Neural Computation",
    2018,
    volume="30",
    number="6",
    pages="1514-1541",
    doi="10.1162/neco_a_01086",
)
LEARNED_TAU = Reference(
    "W. Fang and Z. Yu and Y. Chen and T. Masquelier and T. Huang and Y. Tian",
    "Incorporating learnable membrane time constant to enhance learning of spiking neural networks",
    "ICCV",
    2021,
    kind="inproceedings",
    pages="2661-2671",
    doi="10.1109/ICCV48922.2021.00266",
)
ADAPTIVE_RECURRENT = Reference(
    "B. Yin and F. Corradi and S. M. Bohté",
    "Accurate and efficient time-domain classification with adaptive spiking recurrent neural networks",
    "Nature Machine Intelligence",
    2021,
    volume="3",
    pages="905-913",
    doi="10.1038/s42256-021-00397-w",
)
FLUCTUATION_DRIVEN = Reference(
    "J. Rossbroich and J. Gygax and F. Zenke",
    "Fluctuation-driven initialization for spiking neural network training",
    "Neuromorphic Computing and Engineering",
    2022,
    volume="2",
    pages="044016",
    doi="10.1088/2634-4386/ac97bb",
)
ORTHOGONAL = Reference(
    "A. Saxe and J. McClelland and S. Ganguli",
    "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    "ICLR",
    2014,
    kind="inproceedings",
    arxiv="1312.6120",
)
LEARNED_DELAYS = Reference(
    "I. Hammouamri and I. Khalfaoui-Hassani and T. Masquelier",
    "Learning delays in spiking neural networks using dilated convolutions with learnable spacings",
    "ICLR",
    2024,
    kind="inproceedings",
    arxiv="2306.17670",
)
DIRECT_TRAINING = Reference(
    "Y. Wu and L. Deng and G. Li and J. Zhu and Y. Xie and L. Shi",
    "Direct training for spiking neural networks: faster, larger, better",
    "AAAI 33",
    2019,
    kind="inproceedings",
    pages="1311-1318",
    doi="10.1609/aaai.v33i01.33011311",
)
POISSON_DIGITS = Reference(
    "P. U. Diehl and M. Cook",
    "Unsupervised learning of digit recognition using spike-timing-dependent plasticity",
    "Frontiers in Computational Neuroscience",
    2015,
    volume="9",
    pages="99",
    doi="10.3389/fncom.2015.00099",
)
FIRST_SPIKES = Reference(
    "S. Thorpe and A. Delorme and R. Van Rullen",
    "Spike-based strategies for rapid processing",
    "Neural Networks",
    2001,
    volume="14",
    number="6-7",
    pages="715-725",
    doi="10.1016/S0893-6080(01)00083-1",
)
SPARSE_NETWORKS = Reference(
    "N. Brunel",
    "Dynamics of sparsely connected networks of excitatory and inhibitory spiking neurons",
    "Journal of Computational Neuroscience",
    2000,
    volume="8",
    pages="183-208",
    doi="10.1023/A:1008925309027",
)

# --- data sets

MNIST = Reference(
    "Y. LeCun and L. Bottou and Y. Bengio and P. Haffner",
    "Gradient-based learning applied to document recognition",
    "Proceedings of the IEEE",
    1998,
    volume="86",
    number="11",
    pages="2278-2324",
    doi="10.1109/5.726791",
)
FASHION_MNIST = Reference(
    "H. Xiao and K. Rasul and R. Vollgraf",
    "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms",
    "arXiv",
    2017,
    kind="misc",
    arxiv="1708.07747",
)
DIGITS = Reference(
    "E. Alpaydin and C. Kaynak",
    "Optical recognition of handwritten digits",
    "UCI Machine Learning Repository",
    1998,
    kind="misc",
    doi="10.24432/C50P49",
)
CIFAR10 = Reference(
    "A. Krizhevsky",
    "Learning multiple layers of features from tiny images",
    "technical report, University of Toronto",
    2009,
    kind="misc",
)
N_MNIST = Reference(
    "G. Orchard and A. Jayawant and G. K. Cohen and N. Thakor",
    "Converting static image datasets to spiking neuromorphic datasets using saccades",
    "Frontiers in Neuroscience",
    2015,
    volume="9",
    pages="437",
    doi="10.3389/fnins.2015.00437",
)
DVS_GESTURE = Reference(
    "A. Amir and others",
    "A low power, fully event-based gesture recognition system",
    "CVPR",
    2017,
    kind="inproceedings",
    pages="7243-7252",
    doi="10.1109/CVPR.2017.781",
)
CIFAR10_DVS = Reference(
    "H. Li and H. Liu and X. Ji and G. Li and L. Shi",
    "CIFAR10-DVS: an event-stream dataset for object classification",
    "Frontiers in Neuroscience",
    2017,
    volume="11",
    pages="309",
    doi="10.3389/fnins.2017.00309",
)
HEIDELBERG = Reference(
    "B. Cramer and Y. Stradmann and J. Schemmel and F. Zenke",
    "The Heidelberg spiking data sets for the systematic evaluation of spiking neural networks",
    "IEEE Transactions on Neural Networks and Learning Systems",
    2022,
    volume="33",
    number="7",
    pages="2744-2757",
    doi="10.1109/TNNLS.2020.3044364",
)
VOWELS = Reference(
    "G. E. Peterson and H. L. Barney",
    "Control methods used in a study of the vowels",
    "Journal of the Acoustical Society of America",
    1952,
    volume="24",
    number="2",
    pages="175-184",
    doi="10.1121/1.1906875",
)
